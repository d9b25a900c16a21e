"""Everybody a session knows."""

from __future__ import annotations

from actors.session.person import Person
from broker.words import Role


class People(dict[str, Person]):
    """Those who are, were or may come back, by participant id."""

    def of_agent(self, agent_id: str | None, role: Role = Role.AGENT) -> Person | None:
        """The agent (or supervisor) known by this id, if any."""
        for person in self.values():
            if person.principal.role is role and agent_id is not None:
                if person.principal.agent_id == agent_id:
                    return person
        return None

    def of_claim(self, claim_hash: str | None) -> Person | None:
        """The consumer known by this claim, if any."""
        for person in self.values():
            if person.principal.role is Role.CONSUMER and claim_hash is not None:
                if person.principal.claim_hash == claim_hash:
                    return person
        return None

    def of_token(self, token_id: str | None) -> Person | None:
        """The guest who came in by this token, if any."""
        for person in self.values():
            if token_id is not None and person.token_id == token_id:
                return person
        return None
