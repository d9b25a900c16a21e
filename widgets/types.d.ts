/**
 * The names that the widgets' JSDoc uses, known in every module. The type checker reads this file;
 * no browser does, so that types cost nobody a download.
 */

type BrokerMessage = import('./protocol/messages.js').BrokerMessage;
type LoginMessage = import('./protocol/messages.js').LoginMessage;
type ClientMessage = import('./protocol/messages.js').ClientMessage;
type RosterEntry = import('./protocol/messages.js').RosterEntry;
type SeatAssignment = import('./protocol/messages.js').SeatAssignment;
type ColleagueView = import('./protocol/messages.js').ColleagueView;
type GuestInvitationView = import('./protocol/messages.js').GuestInvitationView;
type InvitationView = import('./protocol/messages.js').InvitationView;
type MediaLimits = import('./protocol/messages.js').MediaLimits;
type ReachView = import('./protocol/messages.js').ReachView;
type ConflictView = import('./protocol/messages.js').ConflictView;
type Difference = import('./protocol/messages.js').Difference;
type Mode = import('./protocol/messages.js').Mode;

type SignallingChannel = import('./channel/channel.js').SignallingChannel;
type Refusal = import('./hosts/gateway.js').Refusal;
type Memory = import('./channel/memory.js').Memory;
type SessionClient = import('./session/client.js').SessionClient;
type InvitedClient = import('./session/invited-client.js').InvitedClient;
type LocalMedia = import('./media/local-media.js').LocalMedia;
type ConsumerLink = import('./views/consumer-link.js').ConsumerLink;
type AgentHost = import('./hosts/agent-host.js').AgentHost;
type AgentProof = import('./elements/agent-proof.js').AgentProof;
type Peer = import('./media/peer.js').Peer;
type PanelLater = import('./views/later.js').Later<{
  root: HTMLElement;
  toggle: () => void;
  close: () => void;
}>;
type OutgoingLater = import('./views/later.js').Later<import('./views/outgoing.js').Outgoing>;
type ColleaguesClass = typeof import('./views/colleagues.js').Colleagues;
type Widget = import('./elements/widget.js').Widget;
type EngagementWidget = import('./elements/engagement-widget.js').EngagementWidget;
type Stage = import('./views/stage.js').Stage;

/**
 * What is known of the engagement, as the wire wants it. Ids are trimmed strings; agent ids come
 * as number, string, `account.agent` or `account:agent` and are compared by their last part.
 */
type EngagementIds = { account_id: string } & Record<string, string | boolean>;

/** What stands in an element: a node, a view with its root, words, or nothing. */
type Child = Node | { root: HTMLElement } | string | null | false | undefined;

/** What a quiet screen says; `busy`: something is under way. */
type Words = { title: string; help?: string; busy?: boolean; sign?: string };

/** How far the peer connection is. */
type MediaState = 'idle' | 'connecting' | 'connected' | 'lost' | 'reconnecting' | 'failed' | 'no_common_codec';

/** Who comes to a slot: from which of RTP's time stamps on, by which turn, told at what time (ms). */
type NextTurn = { participant: string; from: number | null; turn: number | null; since: number };

/** LivePerson's tag, whose SDKs have no types. */
declare var lpTag: any;

/** What the page around a frame lets it use; not every browser says. */
interface Document {
  permissionsPolicy?: { allowsFeature?: (feature: string) => boolean };
  featurePolicy?: { allowsFeature?: (feature: string) => boolean };
}

/** What frames the consumer's widget: LivePerson's window, our launcher, or nothing. It emits `change`. */
interface ConsumerHost extends EventTarget {
  /** Null until there is a conversation. */
  readonly ids: EngagementIds | null;
  /** Whether the host shows the widget to the person. */
  readonly shown: boolean;
  /** Whether the person has touched the page around it, which lets this frame sound. */
  readonly active: boolean;
  /** Whether there is a launcher, which tells of a ring outside the frame. */
  readonly framed: boolean;
  /** The host's script has not come in the time that it may take. */
  readonly missing: boolean;
  /** The widget has left the page: nobody looks for an SDK any more. */
  gone: boolean;
  start(): Promise<void> | void;
  /** Open, close, or tell of a ring; `said` is what is to be noticed. */
  show(what: 'closed' | 'ring' | 'session' | 'over', said?: string): void;
  /** Raise the host's counter. */
  notify(text: string): void;
}

/** A token, and for how long it holds. */
type Grant = { token: string; expires_in_s: number };

type LinkStatus = 'idle' | 'connecting' | 'open' | 'reconnecting' | 'closed';
type Link = { status: LinkStatus; code: number; refusal: Refusal | null };

/** A slot as it is displayed, in device pixels. */
type SlotSize = { kind: string; index: number; width: number; height: number };

interface ChannelOptions {
  /** Address of the WebSocket. */
  url: string;
  /** The fields of the hello; a rejection with a `Refusal` that is not retryable closes the channel. */
  greet: (lastSeq: number) => Promise<Record<string, unknown>>;
  /** Every message, in order. */
  onMessage: (message: BrokerMessage) => void;
  onLink: (link: Link) => void;
  /** Overrules the close codes. */
  mayRetry?: (code: number, refusal: Refusal | null) => boolean | undefined;
}

interface ClientOptions {
  surface: string;
  /** What is known without asking: engagement, claim secret, name. Stands in every hello. */
  introduce: () => Record<string, unknown>;
  /**
   * The ordinary token. Beside a resume token it may reject, and should rather than ask the person:
   * the session goes on without.
   */
  prove: (resuming: boolean) => Promise<string|undefined>;
  memory: Memory;
  /** What was turned off where the person comes from. */
  off?: string | null;
  /** Whether the first session, if it is open in another window, is brought here. */
  takes?: boolean;
  /** Address of the WebSocket; the page's own gateway by default. */
  url?: string;
}

/** The session as this participant sees it. Times are on the widget's clock, in milliseconds. */
interface Session {
  session_id: string;
  epoch: number;
  participant_id: string;
  role: string;
  mode: string;
  /**
   * `invited`, `lobby`, `present`, `reconnecting`, or `elsewhere`: the person takes part on
   * another surface.
   */
  attendance: string;
  capabilities: readonly string[];
  roster: readonly RosterEntry[];
  invitation: InvitationView | null;
  /** When the invitation expires. */
  invitationUntil: number;
  guest_invitations: readonly OpenLink[];
  /** By `seat:0`, `screen:0`, … */
  seats: Readonly<Record<string, SeatAssignment>>;
  media: MediaLimits;
  /** Who else says they are the consumer. */
  conflicts: readonly ConflictView[];
  /** What was said in writing while this widget was there. */
  lines: readonly Line[];
  /** Who would like to see this person's screen, oneself after a share that another page had; another
   * wish is another object. */
  screenAsked: { by: string } | null;
  /** What a moderator stopped here last; another time is another object. */
  muted: { by: string; sources: readonly string[] } | null;
  startedAt: number;
  speaker: string | null;
  quality: Readonly<Record<string, Quality>>;
  /** Whether something that was decided waits for long to be saved; only the staff is told. */
  unsaved: boolean;
}

/** `until`: when it ends. */
type OpenLink = GuestInvitationView & { until: number };

type Quality = { grade: string; reason: string | null };

/**
 * Something said in writing; whoever said it may have left since. `text_id`: two actors may say the
 * same; one of the release before gives it no name.
 */
type Line = { id: number; by: string; name: string; text: string; text_id?: string };

/** Everything the broker has told this widget, as a value. */
interface WidgetState {
  role: string | null;
  reach: ReachView | null;
  /** Until when, on the widget's clock, a session that is being started waits for room. */
  waits: number;
  /** How a member of the staff could come into the live session. */
  ways: readonly string[];
  /** The colleague who asks this person into that session, and about whom, where it is known. */
  askedBy: string | null;
  about: string | null;
  session: Session | null;
  /** Sealed; what brings a reloaded frame back into the session. */
  resume: string | null;
  /** Why the last session is over for this widget. */
  over: Over | null;
}

interface Over {
  reason: string;
  for: 'session' | 'me' | 'invitation';
  elapsedMs: number;
  /** Who removed this person, where it is known. */
  by: string;
  /** Whether it stood unsaved when this person went. */
  unsaved: boolean;
  /** The resume token that the session may be rated with. */
  rating: string | null;
}

/** What is certain before a device is asked for. */
type CertainTrouble = 'blocked_by_frame' | 'insecure' | 'no_webrtc';

/** What can stand between a person and their camera or microphone; `replaced`: another serves now. */
type Trouble =
  | 'refused'
  | 'blocked_by_frame'
  | 'no_device'
  | 'busy'
  | 'insecure'
  | 'no_webrtc'
  | 'replaced'
  | 'failed';
/** What a page may let its frames use. */
type Feature = 'camera' | 'microphone' | 'display-capture';
type DeviceSource = 'microphone' | 'camera';
type DeviceChoice = DeviceSource | 'speaker';
type Source = DeviceSource | 'screen';
/** What is sent; null: nothing. */
type Tracks = Record<Source, MediaStreamTrack | null>;
type Opened = { track: MediaStreamTrack | null; trouble: Trouble | null };
/** What the browser is asked for now. */
type Asked = Partial<Record<Source, Promise<Opened>>>;
/** Which of them is wanted, beside what was chosen another day. */
type Wishes = Partial<Record<Source, MediaTrackConstraints>>;
/** What is really being sent. */
type Publishing = Record<Source, boolean>;
type PeerState = RTCPeerConnectionState;

/**
 * The sections of the one offer, in the order of the contract: what is sent, then the seats, then
 * the screen slots. All stand in the first offer, so nothing is ever renegotiated.
 */
interface Sections {
  send: Record<Source, RTCRtpTransceiver>;
  seats: { audio: RTCRtpTransceiver; video: RTCRtpTransceiver }[];
  screens: RTCRtpTransceiver[];
}

/** What getStats counted for one slot, since the connection began. */
interface Count {
  frames_decoded: number;
  freezes: number;
  freeze_seconds: number;
  concealed_samples: number;
  silent_concealed_samples: number;
  total_samples: number;
  packets_lost: number;
}

type Waiter = {
  text: string;
  bound: boolean;
  resolve: (reply: any) => void;
  reject: (why: Refusal) => void;
  timer: number;
};

/** What the gateway says of an account to anybody: how its people prove who they are. */
type WidgetConfig = { account_id: string; agent_login: string; consumer_proof: string };
/** A browser enrolled for an account. */
type Device = { device_id: string; keys: CryptoKeyPair };

/** Keeps one child of `parent` for each key, in order, making and removing as needed. */
type Keyed = <T, V extends { root: HTMLElement }>(
  parent: HTMLElement,
  items: readonly T[],
  keyOf: (item: T) => string,
  make: (item: T) => V,
  update: (view: V, item: T) => void,
  /** What has the focus once no row is left to have it. */
  home?: Element|null,
) => void;

/** What a window of its own is given: in its address, and never in it, which never rejects. */
type HandedOver = { query: Record<string, string>; secrets: () => Promise<Record<string, string>> };

/** The agent's situation before a session. */
interface Idle {
  state: WidgetState;
  /** The consumer's; may be empty. */
  name: string;
  /** The colleague whose conversation it is; may be empty. */
  agent: string;
  /** Whether this person looks at somebody else's conversation, and starts nothing. */
  watches: boolean;
}

interface View {
  root: HTMLElement;
  update?: () => void;
  onClosed?: () => void;
}

/** Shows why a request failed, wherever its sender shows such things. */
type Attempt = (asked: Promise<unknown>) => void;
/** What is sent to the broker, without `id`. */
type ToBroker = Record<string, unknown> & { type: string };
/** Puts a line into the conversation, where the host can; true when it stands there. */
type Write = ((text: string) => Promise<boolean>) | null;
/** Opens a window of its own, where one stands in a frame. */
type OpenWindow = (() => void) | null;

interface IconButton {
  root: HTMLButtonElement;
  /** Name it, first or anew; whether it is on, if it can be off. */
  set: (name: string, pressed?: boolean) => void;
}

interface ControlActions {
  people: () => void;
  more: () => void;
  end: () => void;
  attempt: Attempt;
}

interface MoreActions {
  attempt: Attempt;
  devices: () => void;
  text: () => void;
  ownWindow: (() => void) | null;
  layoutChanged: () => void;
}

/** Makes a button that asks something of the broker; what is refused is said beside it. */
type AskButton = (key: string, kind: string, message: ToBroker) => HTMLButtonElement;

/** A decision that waits for the person, and what each answer does. */
interface Wish {
  key: string;
  text: string;
  lines?: string[];
  /** Whether it says what is wrong. */
  warns?: boolean;
  choices?: Choice[];
}

/** `say`: the key of its words. */
type Choice = { say: string; act: () => void; first?: boolean };

/** What the notices look at, and how they act. */
interface Among {
  client: SessionClient;
  attempt: Attempt;
  /** What the agent's workspace says. */
  host: AgentHost | null;
  ownWindow: OpenWindow;
  /** What has the focus after the last strip. */
  home: HTMLElement;
}

/** What of the session waits for this person. */
type WishesOf = (session: Session) => Wish[];

interface SessionViewOptions {
  /** Puts a line into the conversation. */
  write?: Write;
  /** Opens the session in a window of its own. */
  ownWindow?: OpenWindow;
  /** The agent's workspace. */
  host?: AgentHost | null;
  /** Fetches what shows an agent their colleagues. */
  colleagues?: () => Promise<typeof import('./views/colleagues.js')>;
  /** Fetches what is asked at the end. */
  atEnd?: () => Promise<unknown>;
  /** Makes what an open or failed invitation lays over the stage; `update` shows the view anew. */
  over?: (attempt: Attempt, update: () => void) => OutgoingLater;
}
