"""Which class and activity of OCSF an action is: a table of known actions, and rules for others.

Source: OCSF 1.3.0, classes api_activity, authentication, account_change.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from smart_audit.audit.formats.ocsf import words
from smart_audit.audit.formats.ocsf.words import meaning_of, words_of


class Class(NamedTuple):
    """A class of events, and the captions of its activities by their numbers."""

    uid: int
    name: str
    category_uid: int
    category_name: str
    activities: Mapping[int, str]


OTHER: Final = 99
API_ACTIVITY: Final = Class(
    6003,
    "API Activity",
    6,
    "Application Activity",
    {1: "Create", 2: "Read", 3: "Update", 4: "Delete"},
)
AUTHENTICATION: Final = Class(
    3002, "Authentication", 3, "Identity & Access Management", {1: "Logon", 2: "Logoff"}
)
ACCOUNT_CHANGE: Final = Class(
    3001,
    "Account Change",
    3,
    "Identity & Access Management",
    {
        1: "Create",
        2: "Enable",
        3: "Password Change",
        4: "Password Reset",
        5: "Disable",
        6: "Delete",
        7: "Attach Policy",
        8: "Detach Policy",
        10: "MFA Factor Enable",
        11: "MFA Factor Disable",
    },
)


class Kind(NamedTuple):
    """What kind of event an action is."""

    cls: Class
    activity_id: int
    activity_name: str

    @property
    def type_uid(self) -> int:
        """Class and activity in one number."""
        return self.cls.uid * 100 + self.activity_id


# Actions of the product's own services, and those of AWS's IAM and sign-in, which an import of
# CloudTrail brings. A number is an activity of the class.
_LOGONS: Final = {
    "auth.login": 1,
    "auth.login.challenge": OTHER,
    "auth.login.request_code": OTHER,
    "auth.logout": 2,
    "auth.passkey.begin": OTHER,
    "auth.reauthenticate": OTHER,
    "auth.refresh": OTHER,
    "auth.token.issue": OTHER,
    "auth.token.revoke": OTHER,
    "auth.session.revoke": 2,
    "auth.session.revoke_others": 2,
    "auth.impersonation.end": OTHER,
    "organisation.member.end_sessions": 2,
    "user.impersonate": OTHER,
    "user.sessions.end": 2,
    "signin.ConsoleLogin": 1,
    "signin.SwitchRole": OTHER,
    "signin.ExitRole": OTHER,
}
_ACCOUNTS: Final = {
    "auth.signup": 1,
    "auth.account.delete": 6,
    "auth.email.change": OTHER,
    "auth.email.verify": OTHER,
    "auth.profile.update": OTHER,
    "auth.password.change": 3,
    "auth.password.reset": 4,
    "auth.password.request_reset": OTHER,
    "auth.factor.totp.enrol": OTHER,
    "auth.factor.totp.confirm": 10,
    "auth.factor.totp.remove": 11,
    "auth.factor.passkey.begin": OTHER,
    "auth.factor.passkey.add": 10,
    "auth.factor.passkey.rename": OTHER,
    "auth.factor.passkey.remove": 11,
    "auth.factor.recovery_codes.regenerate": OTHER,
    "organisation.member.update": OTHER,
    "organisation.member.remove": OTHER,
    "service_account.create": 1,
    "service_account.enable": 2,
    "service_account.disable": 5,
    "service_account.update": OTHER,
    "user.deactivate": 5,
    "user.reactivate": 2,
    "user.password.force_reset": 4,
    "iam.CreateUser": 1,
    "iam.DeleteUser": 6,
    "iam.UpdateUser": OTHER,
    "iam.CreateLoginProfile": 2,
    "iam.DeleteLoginProfile": 5,
    "iam.UpdateLoginProfile": 4,
    "iam.ChangePassword": 3,
    "iam.AttachUserPolicy": 7,
    "iam.PutUserPolicy": 7,
    "iam.DetachUserPolicy": 8,
    "iam.DeleteUserPolicy": 8,
    "iam.EnableMFADevice": 10,
    "iam.DeactivateMFADevice": 11,
}
# The same in the words of other products, e.g. "user.logged_in", "session.signOut".
_LOGON_WORDS: Final = frozenset(
    {"login", "log in", "logged in", "logon", "signin", "sign in", "signed in", "authenticate"}
)
_LOGOFF_WORDS: Final = frozenset(
    {"logout", "log out", "logged out", "logoff", "signout", "sign out", "signed out"}
)
_NUMBERS: Final = {words.CREATE: 1, words.READ: 2, words.UPDATE: 3, words.DELETE: 4}


@lru_cache(maxsize=4096)
def kind_of(action: str) -> Kind:
    """The kind of event that an action is; API Activity when nothing tells otherwise."""
    parts = words_of(action)
    said = " ".join(parts)
    if action in _ACCOUNTS:
        return _kind(ACCOUNT_CHANGE, _ACCOUNTS[action], said)
    if action in _LOGONS:
        return _kind(AUTHENTICATION, _LOGONS[action], said)
    if said in _LOGON_WORDS:
        return _kind(AUTHENTICATION, 1, said)
    if said in _LOGOFF_WORDS:
        return _kind(AUTHENTICATION, 2, said)
    meaning = meaning_of(parts)
    return _kind(API_ACTIVITY, _NUMBERS[meaning] if meaning else OTHER, said)


def _kind(cls: Class, activity_id: int, said: str) -> Kind:
    # The number 99 stands for any activity; its name is then the action's own.
    return Kind(cls, activity_id, cls.activities.get(activity_id) or said.capitalize())
