"""The page in a real browser, opened as a file, with no network."""

import re
import time
from base64 import b64encode
from dataclasses import replace
from random import Random

import pytest

from smart_audit.client.evidence import page as pages
from smart_audit.client.evidence.bundle import write_bundle
from smart_audit.client.evidence.check import check_bundle
from smart_audit.client.evidence.formats import PAGE
from smart_audit.client.evidence.page import split_page
from smart_audit.tlog.note import verifier_key

from .forgeries import FORGERIES, STRANGER, own_note
from .making import ORIGIN, Log, entry, hiding, members, private_key, redigested, zipped
from .mutants import mutant

VERDICTS = ("verified", "own", "failed", "unable", "empty")
SETTLED = ",".join(f"html[data-verdict={verdict}]" for verdict in VERDICTS)
# Only these differ for the page's own data: it cannot look at itself or at a zip.
OF_THE_ZIP = {
    "there is a member more",
    "the members are in another order",
    "the page has another script",
    "the page holds other data",
}


OWN_KEYS = [Log(0).key, *Log(0).keys.witnesses]
# Of the same installation, whose logs share one key pair.
OTHERS_KEY = verifier_key(ORIGIN.replace("01890a5d", "01890a5e"), private_key(1).public_key())


class Page:
    """A page of evidence, as a reader sees it."""

    def __init__(self, page):
        self.page = page
        self.requests = []
        self.errors = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text))

    def open(self, path):
        self.page.goto(path.as_uri())
        return self.verdict()

    def choose(self, path):
        self.page.set_input_files("#file", path)
        self.page.wait_for_selector(f"#source:text-is('{path.name}')")
        return self.verdict()

    def trust(self, key):
        before = self.page.locator("#trust-state").inner_text()
        self.page.fill("#key", key)
        self.page.wait_for_selector(f"#trust-state:not(:text-is('{before}'))")
        return self.verdict()

    def verdict(self):
        self.page.wait_for_selector(SETTLED)
        return self.page.locator("html").get_attribute("data-verdict")

    def text(self, selector="body"):
        return self.page.locator(selector).inner_text()

    def texts(self, selector):
        return self.page.locator(selector).all_inner_texts()


@pytest.fixture
def opened(chromium):
    """Opens pages; in the end none has asked for anything but itself, or complained."""
    context = chromium.new_context(offline=True)
    made = []

    def new():
        made.append(Page(context.new_page()))
        return made[-1]

    yield new
    for one in made:
        assert all(url.startswith(("file:", "data:")) for url in one.requests)
        assert one.errors == []
    context.close()


@pytest.fixture(scope="session")
def empty_page(tmp_path_factory):
    """A page without a bundle, to choose zips in."""
    path = tmp_path_factory.mktemp("page") / "verify.html"
    path.write_bytes(pages.empty_page())
    return path


def written(path, contents):
    path.write_bytes(contents[PAGE])
    return path


def test_a_good_bundle_is_consistent_and_verified_under_the_key_that_is_trusted(
    opened, tmp_path, contents, log
):
    page = opened()
    assert page.open(written(tmp_path / "verify.html", contents)) == "own"
    assert "under the bundle's own key" in page.text("#verdict")
    assert "may have made its key too" in page.text("#verdict")
    assert "every entry from 7 to 40 is accounted for" in page.text("#verdict")
    assert [row.split()[1] for row in page.texts("#own-keys li")] == OWN_KEYS
    assert "you trust it" not in page.text("#own-keys")
    assert page.trust(f" {log.key}\n") == "verified"
    assert "under the key that you trust" in page.text("#verdict")
    assert page.texts("#own-keys li:has(.good)") == [f"log {log.key} you trust it"]
    assert len(page.texts("#checks li.ok")) == 7
    assert len(page.texts("#checks li.skipped")) == 2


NOT_TO_BE_TRUSTED = {
    Log(0, seed=2).key: "has not signed",
    Log(0).key.replace("log.example.com", "other.example"): "key id",
    Log(0).keys.witnesses[0]: "a key of the log is needed",
    f"{Log(0).key} {STRANGER.verifier.verifier_key}": "stranger.example has not signed",
    f"{Log(0).key} {Log(0, seed=2).key}": "has not signed",
    OTHERS_KEY: "the key of another log",
    "nonsense": "not a verifier key",
}


def test_a_key_that_did_not_sign_it_ends_the_trust(opened, tmp_path, contents):
    page = opened()
    page.open(written(tmp_path / "verify.html", contents))
    for key, why in NOT_TO_BE_TRUSTED.items():
        assert page.trust(key) == "failed", key
        assert why in page.text("#verdict"), key
        assert page.trust("") == "own", key


def test_witnesses_that_are_trusted_must_have_cosigned(opened, tmp_path, contents, log):
    page = opened()
    page.open(written(tmp_path / "verify.html", contents))
    assert page.trust("\n".join([log.key, *log.keys.witnesses])) == "verified"
    assert page.text("#trust-state") == "These keys have signed the checkpoint."


def test_a_failed_bundle_claims_and_is_not(opened, tmp_path, contents, log):
    page = opened()
    forged = FORGERIES["an event is changed"].forge(contents)
    page.open(written(tmp_path / "verify.html", forged))
    assert page.text("#facts-title") == "What this bundle claims"
    # A good key does not heal it.
    assert page.trust(log.key) == "failed"
    assert "index 9 is not what its leaf states" in page.text("#verdict")


def test_nothing_is_cut_off_at_any_width(opened, tmp_path):
    log = Log(4)
    log.entries[1] = entry(1, action="a" * 90, actor={"id": "i" * 200, "type": "t" * 64})
    page = opened()
    contents = members(log.bundle(tmp_path / "bundle.zip", 0, 4, 1, 3))
    assert page.open(written(tmp_path / "verify.html", contents)) == "own"
    page.trust(log.key)
    page.page.click("#open-all")
    for width in (360, 700, 1280):
        page.page.set_viewport_size({"width": width, "height": 800})
        beyond = page.page.evaluate(
            """() => [...document.querySelectorAll("main *")]
              .filter((one) => one.getBoundingClientRect().right > innerWidth + 1
                && one.closest(".scroll") === null)
              .map((one) => one.outerHTML.slice(0, 80))"""
        )
        assert beyond == [], width
        if width < 704:
            hidden = "(s => s.scrollWidth - s.clientWidth)(document.querySelector('.scroll'))"
            assert page.page.evaluate(hidden) <= 1


def test_a_whole_forged_log_is_only_consistent(opened, tmp_path, log):
    forged = members(Log(12, seed=2).bundle(tmp_path / "forged.zip", 3, 9))
    page = opened()
    assert page.open(written(tmp_path / "verify.html", forged)) == "own"
    assert page.trust(log.key) == "failed"


def test_a_chosen_zip_is_verified_by_the_same_checks(opened, empty_page, bundle, log):
    page = opened()
    assert page.open(empty_page) == "empty"
    assert page.choose(bundle) == "own"
    assert len(page.texts("#checks li.ok")) == 9
    assert page.trust(log.key) == "verified"


def test_bundles_of_all_shapes_hold(opened, empty_page, tmp_path):
    shapes = [(1, 0, 1), (2, 1, 2), (7, 3, 6, 4), (33, 31, 33), (100, 37, 93, 37, 92)]
    page = opened()
    page.open(empty_page)
    for number, (size, begin, end, *shown) in enumerate(shapes):
        bundle = Log(size).bundle(tmp_path / f"{number}.zip", begin, end, *shown)
        assert page.choose(bundle) == "own", size


@pytest.mark.parametrize(
    "step", [pytest.param(3, id="some"), pytest.param(1, id="all", marks=pytest.mark.soak)]
)
def test_forgeries_are_found_at_their_places(opened, empty_page, tmp_path, contents, step):
    page = opened()
    page.open(empty_page)
    for number, (name, forgery) in enumerate(list(FORGERIES.items())[::step]):
        forged = zipped(tmp_path / f"{number}.zip", forgery.forge(contents))
        assert page.choose(forged) == "failed", name
        assert any(fault.startswith(forgery.place) for fault in page.texts("#fault-list li")), name
        assert page.texts("#checks li.failed"), name


@pytest.mark.parametrize(
    "count", [pytest.param(25, id="some"), pytest.param(10_000, id="many", marks=pytest.mark.soak)]
)
def test_the_page_and_the_command_agree_on_whatever_is_given(
    opened, empty_page, tmp_path, contents, log, count
):
    page, random = opened(), Random(count)
    page.open(empty_page)
    for number in range(count):
        path = zipped(tmp_path / "mutant.zip", mutant(contents, random))
        data = b64encode(path.read_bytes()).decode()
        holds = page.page.evaluate(HOLDS, data)
        assert holds is check_bundle(path, [log.key]).holds, number


# In the page itself, whatever it thinks of the file.
HOLDS = """async (data) => {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return unzip(bytes).then((members) => checkBundle(members, false)).then(
    (check) => check.holds, () => false);
}"""


@pytest.mark.parametrize(
    "step", [pytest.param(8, id="some"), pytest.param(1, id="all", marks=pytest.mark.soak)]
)
def test_forgeries_are_found_in_the_pages_own_data(opened, tmp_path, contents, step):
    page = opened()
    for name, forgery in list(FORGERIES.items())[::step]:
        forged = forgery.forge(contents)
        if name not in OF_THE_ZIP and forged[PAGE] != contents[PAGE]:
            assert page.open(written(tmp_path / "verify.html", forged)) == "failed", name


def test_what_is_no_zip_is_told(opened, empty_page, tmp_path, bundle):
    page = opened()
    page.open(empty_page)
    raw = bundle.read_bytes()
    strange = (
        b"",
        b"no zip",
        raw[: len(raw) // 2],
        raw[1000:],
        b"x" + raw,
        raw + b"x",
        *hiding(raw),
    )
    for number, data in enumerate(strange):
        path = tmp_path / f"broken-{number}.zip"
        path.write_bytes(data)
        assert page.choose(path) == "failed"
        assert "Not verified" in page.text("#verdict")


@pytest.mark.parametrize(
    "broken",
    [
        "Object.defineProperty(crypto.subtle, 'importKey', {value: () => Promise.reject('none')})",
        "Object.defineProperty(crypto.subtle, 'verify', {value: async () => true})",
        "Object.defineProperty(window, 'crypto', {value: {}})",
    ],
    ids=["no Ed25519", "an Ed25519 that accepts all", "no cryptography"],
)
def test_a_browser_that_cannot_verify_claims_nothing(opened, tmp_path, contents, log, broken):
    page = opened()
    page.page.add_init_script(broken)
    assert page.open(written(tmp_path / "verify.html", contents)) == "unable"
    assert "Not checked" in page.text("#verdict")
    assert page.texts("#checks li") == []


def test_the_events_are_shown_with_what_is_withheld(opened, tmp_path, contents):
    page = opened()
    page.open(written(tmp_path / "verify.html", contents))
    rows = page.texts("#event-rows tr:not(.details)")
    assert rows[1] == "Entry 8 withheld: here as a hash, none missing"
    assert "Entries 12 to 19 withheld" in rows[5]
    assert "2 withheld" in rows[0]
    # Markup in a name is text.
    assert "Zoë <b>7</b> Ångström" in rows[0]
    page.page.locator("#event-rows button").first.click()
    details = page.text("#event-rows tr.details:not([hidden])")
    assert "metadata.__proto__.polluted" in details
    assert "2 fields" in details
    assert page.page.evaluate("[({}).polluted, document.querySelector('td b')]") == [None, None]


def test_the_filter_finds_words_in_any_field(opened, tmp_path, contents):
    page = opened()
    page.open(written(tmp_path / "verify.html", contents))
    page.page.fill("#filter", "U_4 DOCUMENT")
    assert page.text("#event-count") == "1 of 6 events match"
    assert len(page.texts("#event-rows tr:not(.details)")) == 1
    page.page.fill("#filter", "no such word")
    assert page.texts("#event-rows tr") == []
    page.page.fill("#filter", "")
    assert page.text("#event-count") == "6 events"


def test_unavailable_fields_are_marked(opened, empty_page, tmp_path):
    log, path = Log(3), tmp_path / "bundle.zip"
    erased = [replace(one, disclosures=one.disclosures[2:]) for one in log.opened(1)]
    write_bundle(path, log.material(1, 2), erased)
    page = opened()
    page.open(empty_page)
    assert page.choose(path) == "own"
    assert page.texts(".tag.unavailable") == ["2 unavailable"]


def test_unseen_characters_cannot_fake_a_line(opened, empty_page, tmp_path):
    log = Log(2)
    log.entries[1] = entry(1, actor={"id": "x\n\u202everified", "type": "user"})
    page = opened()
    page.open(empty_page)
    assert page.choose(log.bundle(tmp_path / "bundle.zip", 0, 2)) == "own"
    assert "x\\u000a\\u202everified" in page.text("#event-rows")


@pytest.mark.soak
def test_2000_events_are_quick(opened, empty_page, tmp_path):
    path = Log(3000).bundle(tmp_path / "bundle.zip", 500, 2500)
    page = opened()
    began = time.monotonic()
    assert page.open(written(tmp_path / "verify.html", members(path))) == "own"
    # 1.3 s on a quiet machine of two cores.
    assert time.monotonic() - began < 15
    assert page.text("#event-count") == "2,000 events, the first 500"
    page.page.click("#show-all")
    assert page.text("#event-count") == "2,000 events"
    assert page.page.locator("#event-rows tr:not(.details)").count() == 2000
    assert page.choose(path) == "own"


def test_a_page_too_small_for_its_bundle_asks_for_the_zip(
    opened, tmp_path, monkeypatch, log, bundle
):
    monkeypatch.setattr(pages, "MAX_EMBEDDED", 1000)
    path = log.bundle(tmp_path / "large.zip", 7, 41)
    page = opened()
    assert page.open(written(tmp_path / "verify.html", members(path))) == "empty"
    assert "choose the zip" in page.text("#verdict")
    assert page.choose(bundle) == "own"


def test_the_policy_lets_nothing_be_loaded_and_no_other_script_run(contents):
    page = contents[PAGE].decode()
    policy = page.partition('content="default-src ')[2].partition('"')[0]
    assert policy.startswith("'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    head, _, tail = split_page(contents[PAGE])
    shell = (head + tail).decode()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", shell)
    assert not re.search(r"\b(src|href)=|\burl\(|https?://|fetch\(|XMLHttp|WebSocket", shell)


def test_a_forged_note_is_found_under_the_bundles_own_keys(opened, tmp_path, contents):
    page = opened()
    forged = redigested(own_note(contents))
    assert page.open(written(tmp_path / "verify.html", forged)) == "failed"
