"""`smart-audit keys`: API keys, and the service accounts that they are of."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.api.auth.v1 import machines_pb2
from smart_audit.cli.asking import confirm
from smart_audit.cli.calling import Calls, calls
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.messages import row, rows
from smart_audit.cli.options import LimitOption, QuietOption, YesOption
from smart_audit.cli.render import Column, Form, OutputOption, Row, show, show_one, time
from smart_audit.cli.text import tell

AccountArgument = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The service account's name or id.")
]
KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="The key's id, or how it begins: sa_…")
]
ExpiresOption = Annotated[
    int,
    typer.Option("--expires-in", metavar="DAYS", min=0, help="Days that it is good; 0: for ever."),
]

_ACCOUNTS: Final = [
    Column("name"),
    Column("scopes"),
    Column("created_at", "since", shown=time, spare=True),
    Column("disabled_at", "disabled", shown=time, spare=True),
    Column("id"),
]
_KEYS: Final = [
    Column("account"),
    Column("name", spare=True),
    Column("prefix", "begins with"),
    Column("created_at", "since", shown=time, spare=True),
    Column("last_used_at", "used", shown=time, spare=True),
    Column("expires_at", "until", shown=time, spare=True),
    Column("revoked_at", "revoked", shown=time, spare=True),
    Column("id"),
]
_NEW_KEY: Final = [Column("key"), *_KEYS]


@calls
def accounts(to: Calls, *, limit: LimitOption = 50, output: OutputOption = Form.TABLE) -> None:
    """List the service accounts of the organisation.

    Examples:
    smart-audit keys accounts
    """
    show(rows(_accounts(to, limit)), _ACCOUNTS, output)


@calls
def list_(
    to: Calls,
    account: Annotated[
        str, typer.Argument(metavar="[ACCOUNT]", help="Of this service account only.")
    ] = "",
    *,
    output: OutputOption = Form.TABLE,
) -> None:
    """List API keys, by how they begin.

    Examples:
    smart-audit keys list
    smart-audit keys list billing -o jsonl
    """
    chosen = [_account(to, account)] if account else _accounts(to, 0)
    show((key for one in chosen for key in _keys(to, one)), _KEYS, output)


@calls
def create(
    to: Calls,
    account: AccountArgument,
    *,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What a new service account may do, e.g. events.record; may be repeated."
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="What the key is called.")] = "",
    expires_in: ExpiresOption = 0,
    output: OutputOption = Form.TABLE,
) -> None:
    """Create an API key, which is shown once and never again.

    With --scope the service account is created too.

    Examples:
    smart-audit keys create billing --scope events.record --expires-in 90
    smart-audit keys create billing -o json | jq -r .key
    """
    if scope:
        request = machines_pb2.CreateServiceAccountRequest(name=account, scopes=scope)
        made = to.call(to.services.service_accounts.CreateServiceAccount, request)
        owner = made.service_account
    else:
        owner = _account(to, account)
    answer = to.call(
        to.services.service_accounts.CreateApiKey,
        machines_pb2.CreateApiKeyRequest(
            service_account_id=owner.id, name=name, expires_at=_expiry(expires_in)
        ),
    )
    show_one({"key": answer.key, **_with_account(answer.api_key, owner)}, _NEW_KEY, output)


@calls
def rotate(
    to: Calls,
    key: KeyArgument,
    *,
    overlap: Annotated[
        int, typer.Option(metavar="HOURS", min=0, help="How long the old key stays good.")
    ] = 24,
    expires_in: ExpiresOption = 0,
    output: OutputOption = Form.TABLE,
) -> None:
    """Replace an API key by a new one; both are good for a while.

    Examples:
    smart-audit keys rotate sa_0h4w… --overlap 48
    """
    owner, old = _find(to, key)
    request = machines_pb2.RotateApiKeyRequest(
        service_account_id=owner.id,
        api_key_id=old["id"],
        overlap=Duration(seconds=overlap * 3600),
        expires_at=_expiry(expires_in),
    )
    answer = to.call(to.services.service_accounts.RotateApiKey, request)
    show_one({"key": answer.key, **_with_account(answer.api_key, owner)}, _NEW_KEY, output)


@calls
def revoke(
    to: Calls, key: KeyArgument, *, yes: YesOption = False, quiet: QuietOption = False
) -> None:
    """Revoke an API key: it and its tokens are refused within a second.

    Examples:
    smart-audit keys revoke sa_0h4w… --yes
    """
    owner, old = _find(to, key)
    confirm(f"Revoke the key {old['prefix']}… of {owner.name}?", yes=yes)
    request = machines_pb2.RevokeApiKeyRequest(service_account_id=owner.id, api_key_id=old["id"])
    to.call(to.services.service_accounts.RevokeApiKey, request)
    tell(f"the key {old['prefix']}… is revoked", quiet=quiet)


def _expiry(days: int) -> Timestamp | None:
    if not days:
        return None
    moment = Timestamp()
    moment.FromDatetime(datetime.now(UTC) + timedelta(days=days))
    return moment


def _accounts(to: Calls, limit: int) -> list[Any]:
    request = machines_pb2.ListServiceAccountsRequest()
    method = to.services.service_accounts.ListServiceAccounts
    return list(to.each(method, request, "service_accounts", limit))


def _account(to: Calls, named: str) -> Any:
    """Raises: Failure, CallError."""
    for one in _accounts(to, 0):
        if named in (one.name, one.id):
            return one
    raise Failure(
        f"there is no service account {named!r}; --scope with `keys create` makes one",
        ExitCode.NOT_FOUND,
    )


def _keys(to: Calls, account: Any) -> list[Row]:
    request = machines_pb2.ListApiKeysRequest(service_account_id=account.id)
    found = to.each(to.services.service_accounts.ListApiKeys, request, "api_keys", 0)
    return [_with_account(one, account) for one in found]


def _find(to: Calls, named: str) -> tuple[Any, Row]:
    """A key by its id, its prefix, or the key itself. Raises: Failure, CallError."""
    try:
        wanted = str(UUID(named))
    except ValueError:
        wanted = ""
    for account in _accounts(to, 0):
        for key in _keys(to, account):
            if key["id"] == wanted or (not wanted and named.startswith(key["prefix"])):
                return account, key
    # It may be a whole key, and what is said here may be kept.
    shown = named if wanted else f"{named[:11]}…"
    raise Failure(f"there is no API key {shown}", ExitCode.NOT_FOUND)


def _with_account(key: Any, account: Any) -> Row:
    return {**row(key), "account": account.name}
