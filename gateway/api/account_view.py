"""An account as the API shows it: what it was told, without hashes, secrets and their places."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from gateway.accounts import Account, AgentLogin, ConsumerProof
from gateway.api.problems import PROBLEMS
from gateway.proofs.api_keys import Caller


class WebhookView(BaseModel):
    """Where events go."""

    endpoint_id: str
    url: str


class AccountView(BaseModel):
    """What one account of this deployment may do, and where its pages live."""

    account_id: str
    agent_login: AgentLogin
    consumer_proof: ConsumerProof
    frame_ancestors: list[str]
    allowed_origins: list[str]
    api_key_ids: list[str]
    webhooks: list[WebhookView]
    retention_days: int | None


def view_account(account: Account) -> AccountView:
    """Show an account."""
    return AccountView(
        account_id=account.account_id,
        agent_login=account.agent_login,
        consumer_proof=account.consumer_proof,
        frame_ancestors=list(account.frame_ancestors),
        allowed_origins=list(account.allowed_origins),
        api_key_ids=[each.key_id for each in account.api_keys],
        webhooks=[
            WebhookView(endpoint_id=each.endpoint_id, url=each.url) for each in account.webhooks
        ],
        retention_days=account.retention_days,
    )


router = APIRouter(prefix="/v1", tags=["accounts"], responses=PROBLEMS)


@router.get("/account", operation_id="getAccount")
async def get_account(account: Caller) -> AccountView:
    """Get the account of the API key, as this gateway was told it."""
    return view_account(account)
