"""The ledger's tables.

JSON stands as text: the ledger reads it whole or not at all, and both databases then agree.
"""

from __future__ import annotations

import sqlalchemy as sa

from broker.words import SessionPhase

metadata = sa.MetaData()

_ID = sa.String(128)

schema_version = sa.Table(
    "schema_version", metadata, sa.Column("version", sa.Integer, primary_key=True)
)

schema_floor = sa.Table(
    "schema_floor",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
)
"""One row: a release that knows this schema version can work with the database."""

terms = sa.Table(
    "terms",
    metadata,
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("term", sa.BigInteger, nullable=False),
    sa.Column("taken_ms", sa.BigInteger, nullable=False),
)
"""One row per ledger shard: who writes now. Every write transaction reads it."""

owners = sa.Table(
    "owners",
    metadata,
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owner", _ID, primary_key=True),
    # Its first one.
    sa.Column("term", sa.BigInteger, nullable=False),
)
"""Whose ledgers have had the term: a row for each time that somebody started a deployment. The one
whose first term is the highest may take it again, the others may not."""

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("session_id", _ID, primary_key=True),
    sa.Column("account_id", _ID, nullable=False),
    sa.Column("engagement_key", _ID, nullable=False),
    sa.Column("ids", sa.Text, nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    # Last sequence number of the epochs before the present one: nothing at or below it may come
    # from the present holder.
    sa.Column("epoch_base", sa.Integer, nullable=False),
    sa.Column("last_seq", sa.Integer, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("ended_ms", sa.BigInteger),
    sa.Column("end_reason", sa.String(32)),
    # Who holds it, and where: `NULL` between two tenures.
    sa.Column("member_id", _ID),
    sa.Column("host", sa.String(255)),
    sa.Column("port", sa.Integer),
    # Which kind of node may have it; empty: any.
    sa.Column("label", _ID, nullable=False, server_default=""),
    # Every webhook endpoint of the account has got the events up to here.
    sa.Column("delivered_seq", sa.Integer, nullable=False, server_default="0"),
)
_LIVE = sessions.c.phase != str(SessionPhase.ENDED)
sa.Index(
    "sessions_one_live_per_engagement",
    sessions.c.account_id,
    sessions.c.engagement_key,
    unique=True,
    sqlite_where=_LIVE,
    postgresql_where=_LIVE,
)
sa.Index(
    "sessions_one_live_per_member",
    sessions.c.member_id,
    unique=True,
    sqlite_where=_LIVE,
    postgresql_where=_LIVE,
)
sa.Index("sessions_newest", sessions.c.created_ms, sessions.c.session_id)
sa.Index("sessions_of_account", sessions.c.account_id, sessions.c.created_ms)
of_engagement = sa.Index(
    "sessions_of_engagement",
    sessions.c.account_id,
    sessions.c.engagement_key,
    sessions.c.created_ms,
)

journal = sa.Table(
    "journal",
    metadata,
    sa.Column("session_id", _ID, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("type", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

subjects = sa.Table(
    "subjects",
    metadata,
    sa.Column("session_id", _ID, primary_key=True),
    sa.Column("participant_id", _ID, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
    # Set once the person is erased: nothing is written here any more.
    sa.Column("erased_ms", sa.BigInteger),
)

tenures = sa.Table(
    "tenures",
    metadata,
    sa.Column("session_id", _ID, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("member_id", _ID, nullable=False),
    sa.Column("node", sa.String(255), nullable=False),
    sa.Column("granted_ms", sa.BigInteger, nullable=False),
    # Moved while its holder lived: does not count against the session's takeovers.
    sa.Column("polite", sa.Boolean, nullable=False, server_default=sa.false()),
)

guest_links = sa.Table(
    "guest_links",
    metadata,
    sa.Column("code_hash", _ID, primary_key=True),
    sa.Column("session_id", _ID, nullable=False),
    sa.Column("guest_invitation_id", _ID, nullable=False),
    sa.Column("uses_left", sa.Integer, nullable=False),
)
sa.Index("guest_links_of_session", guest_links.c.session_id, guest_links.c.guest_invitation_id)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", _ID, primary_key=True),
    sa.Column("account_id", _ID, nullable=False),
    sa.Column("secret_hash", sa.String(64), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("revoked_ms", sa.BigInteger),
)

UNDELIVERED = sessions.c.last_seq > sessions.c.delivered_seq
"""Of a session: not every endpoint has all of it."""
undelivered = sa.Index(
    "sessions_undelivered",
    sessions.c.account_id,
    sessions.c.created_ms,
    sqlite_where=UNDELIVERED,
    postgresql_where=UNDELIVERED,
)
"""The outbox is the journal: this index finds the sessions that have something to send."""

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("session_id", _ID, primary_key=True),
    sa.Column("endpoint_id", _ID, primary_key=True),
    sa.Column("next_seq", sa.Integer, nullable=False),
    # Of the event at `next_seq`: tries that failed, since when, and when the next one is due.
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("failing_ms", sa.BigInteger),
    # Since when each try of it was refused: its receiver finds this event wrong. Counts from
    # `failing_ms` on; what is earlier was left by a ledger of the release before.
    sa.Column("refused_ms", sa.BigInteger),
    sa.Column("due_ms", sa.BigInteger, nullable=False),
)
"""How far each webhook endpoint is in each session."""
# Written out: of a parameter no database knows that an index holds for it.
FAILING = deliveries.c.due_ms > sa.literal_column("0")
"""Of a delivery: it has failed, and has to wait."""
deliveries_failing = sa.Index(
    "deliveries_failing",
    deliveries.c.endpoint_id,
    deliveries.c.due_ms,
    sqlite_where=FAILING,
    postgresql_where=FAILING,
)
"""Finds what is to be tried again; the others stay for as long as their records."""

endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("endpoint_id", _ID, primary_key=True),
    # Since when no keeper names it; `NULL`: it is there.
    sa.Column("gone_ms", sa.BigInteger),
)
"""The webhook endpoints of each account, also one that was taken away a short time ago."""

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("endpoint_id", _ID, primary_key=True),
    sa.Column("session_id", _ID, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("dead_ms", sa.BigInteger, nullable=False),
    sa.Column("why", sa.String(200), nullable=False),
    # Set when somebody asked to try it once more.
    sa.Column("again_ms", sa.BigInteger),
)
"""Events an endpoint would not take in time. They point into the journal and copy nothing."""
_AGAIN = dead_letters.c.again_ms.is_not(None)
letters_again = sa.Index(
    "dead_letters_again",
    dead_letters.c.endpoint_id,
    dead_letters.c.again_ms,
    sqlite_where=_AGAIN,
    postgresql_where=_AGAIN,
)
"""Each look for what is due asks for these; the others stay for as long as their records."""
letters_newest = sa.Index("dead_letters_newest", dead_letters.c.dead_ms)
"""Whoever looks at the console asks for the newest every few seconds."""

erasures = sa.Table(
    "erasures",
    metadata,
    sa.Column("session_id", _ID, primary_key=True),
    sa.Column("participant_id", _ID, primary_key=True),
    sa.Column("erased_ms", sa.BigInteger, nullable=False),
    # Whether the journal says so: not while an actor writes it.
    sa.Column("noted", sa.Boolean, nullable=False),
)
"""Who was erased, by opaque ids: what must be erased again after an older backup came back."""
UNNOTED = erasures.c.noted.is_(False)
erasures_unnoted = sa.Index(
    "erasures_unnoted",
    erasures.c.session_id,
    erasures.c.participant_id,
    sqlite_where=UNNOTED,
    postgresql_where=UNNOTED,
)
"""The keeper looks for these every few seconds; the others stay for as long as their records."""

revocations = sa.Table(
    "revocations",
    metadata,
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("subject_hash", sa.String(64), primary_key=True),
    sa.Column("at_s", sa.Float, nullable=False),
    sa.Column("until_s", sa.Float, nullable=False),
)
"""Who lost access before their token's time. No id of a person stands here."""

answers = sa.Table(
    "answers",
    metadata,
    sa.Column("place", sa.String(64), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("begun_ms", sa.BigInteger, nullable=False),
    # Sealed by a gateway; `NULL` while the request is being answered.
    sa.Column("sealed", sa.Text),
)
"""Requests with an idempotency key, for a day."""
sa.Index("answers_oldest", answers.c.begun_ms)

cordons = sa.Table(
    "cordons",
    metadata,
    sa.Column("node", sa.String(255), primary_key=True),
    sa.Column("since_ms", sa.BigInteger, nullable=False),
    sa.Column("deadline_ms", sa.BigInteger, nullable=False),
)
"""The nodes that get no session, and until when theirs are moved away."""


enrolments = sa.Table(
    "enrolments",
    metadata,
    sa.Column("enrolment_id", _ID, primary_key=True),
    sa.Column("account_id", _ID, nullable=False),
    sa.Column("agent_id", _ID, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("secret_hash", sa.String(64), nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("tries_left", sa.Integer, nullable=False),
)
"""Codes by which an agent's device may be enrolled: one for each agent, gone once used."""

devices = sa.Table(
    "devices",
    metadata,
    sa.Column("device_id", _ID, primary_key=True),
    sa.Column("account_id", _ID, nullable=False),
    sa.Column("agent_id", _ID, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("enrolled_ms", sa.BigInteger, nullable=False),
    # When the newest challenge it answered was made: an older answer is a replay.
    sa.Column("seen_ms", sa.BigInteger, nullable=False),
)
"""Agents' enrolled devices. The private key never leaves the browser that made it."""
sa.Index("devices_of_account", devices.c.account_id, devices.c.enrolled_ms)

notes = sa.Table(
    "notes",
    metadata,
    sa.Column("session_id", _ID, primary_key=True),
    sa.Column("reference", _ID),
    sa.Column("metadata", sa.Text, nullable=False),
)
"""What a brand keeps with a session of its own. Nobody but the brand knows what it means."""
sa.Index("notes_by_reference", notes.c.reference)
