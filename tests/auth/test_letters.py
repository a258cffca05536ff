"""What mails look like: text and HTML of each letter, and what strangers cannot put into them."""

import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

import smart_audit.auth
from smart_audit.auth.domain import Client
from smart_audit.auth.mail.letters import (
    ConfirmEmail,
    Invitation,
    Notice,
    ResetPassword,
    SignInCode,
    VerifyEmail,
)
from smart_audit.auth.mail.rendering import TEMPLATES, Renderer

RENDERER = Renderer("Acme <no-reply@acme.test>", "https://acme.test/account")
CLIENT = Client(
    "192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
)
AT = datetime(2026, 11, 25, 14, 5, tzinfo=UTC)
LETTERS = [
    VerifyEmail("t0ken", timedelta(days=1)),
    ConfirmEmail("t0ken", timedelta(hours=1)),
    ResetPassword("t0ken", timedelta(minutes=30), CLIENT),
    SignInCode("48291375", timedelta(minutes=10), CLIENT),
    Invitation("t0ken", "Acme", "Ada Lovelace", "auditor", AT),
    Notice("password.changed", AT, CLIENT),
]


class Page(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


@pytest.mark.parametrize("letter", LETTERS, ids=lambda letter: letter.template)
def test_a_letter_says_the_same_in_text_and_html_and_loads_nothing(letter):
    rendered = RENDERER.render(letter)
    assert rendered.text.startswith(f"Acme\n\n{rendered.subject}\n")
    assert max(len(line) for line in rendered.text.splitlines() if "#token=" not in line) <= 72
    page = Page(rendered.html)
    loaded = {"img", "script", "link", "iframe", "object", "style", "video", "audio"}
    assert not loaded & {tag for tag, _ in page.tags}
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert links == set(re.findall(r"https://\S+", rendered.text))
    assert "url(" not in rendered.html
    assert f"<title>{rendered.subject}</title>" in rendered.html


def test_every_template_has_a_letter():
    templates = {file.stem for file in (TEMPLATES / "letters").iterdir()}
    assert templates == {letter.template for letter in LETTERS}


def test_what_strangers_chose_is_neither_markup_nor_a_link():
    name = '<a href="http://evil.test">Acme</a> evil.test\u2028'
    rendered = RENDERER.render(Invitation("t0ken", name, name, "member", AT))
    assert {a["href"] for tag, a in Page(rendered.html).tags if tag == "a"} == {
        "https://acme.test/account/accept-invitation#token=t0ken"
    }
    for text in (rendered.subject, rendered.text, rendered.html):
        assert "evil.test" not in text
        assert "http://evil" not in text
    assert "\n" not in rendered.subject


def test_a_notice_without_words_of_its_own_still_says_what_happened():
    rendered = RENDERER.render(Notice("wall_clock.wound_up", AT, Client()))
    assert rendered.subject == "Wall clock wound up"
    assert "25 November 2026, 14:05 UTC" in rendered.text
    assert "Device" not in rendered.text


def test_every_notice_that_is_sent_has_words_of_its_own():
    source = "".join(
        file.read_text() for file in Path(smart_audit.auth.__path__[0]).rglob("use_cases/*.py")
    )
    sent = set(re.findall(r'(?:notify\(\s*\w+,|changed\()\s*"([^"]+)"', source))
    words = (TEMPLATES / "letters" / "notice.jinja").read_text()
    assert sent
    assert {what for what in sent if f'"{what}"' not in words} == set()


def test_tokens_and_codes_are_not_shown_by_repr():
    for letter in LETTERS:
        secrets = [getattr(letter, f.name) for f in fields(letter) if f.name in {"token", "code"}]
        assert not any(secret in repr(letter) for secret in secrets)
