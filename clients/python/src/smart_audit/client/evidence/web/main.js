// The page's own course: verify what it holds, or what the reader gives it.

let current = null; // the check that is shown
let run = 0; // the number of the latest check; an older one that ends later is not shown

async function verify(load, isEmbedded, name) {
  run += 1;
  const mine = run;
  current = null;
  clear(name);
  const began = performance.now();
  try {
    const check = await checkBundle(await load(), isEmbedded);
    if (mine === run) {
      current = check;
      show(check);
      part("source").title = `checked in ${Math.round(performance.now() - began)} ms`;
    }
  } catch (error) {
    if (mine === run) {
      showFailure(error);
    }
  }
}

function clear(name) {
  part("source").textContent = name;
  for (const id of ["faults", "facts", "counts", "events", "trust"]) {
    part(id).hidden = true;
  }
  part("checks").replaceChildren();
  part("trust-state").textContent = "";
  showVerdict("pending", "Verifying …", "Nothing is sent anywhere.");
}

function show(check) {
  showChecks(check.states);
  showFaults(check.faults);
  showFacts(check);
  part("trust").hidden = check.signed === undefined;
  check.table = new EventTable(check);
  return judge();
}

/** The verdict over the check that is shown, and over the key that the reader trusts. */
async function judge() {
  const check = current;
  const entered = part("key").value.trim();
  const keys = entered.split(/\s+/).filter(Boolean);
  if (check === null) {
    return;
  }
  let refusal = null;
  if (entered !== "" && check.signed !== undefined) {
    refusal = await requireTrusted(keys, check.signed).then(() => null, (error) => error);
  }
  if (check !== current || entered !== part("key").value.trim()) {
    return;
  }
  showKeys(check.keys, refusal === null ? keys : []);
  part("trust-state").textContent = trustText(keys, refusal);
  part("trust-state").className = entered === "" ? "" : refusal === null ? "good" : "bad";
  if (!check.holds) {
    const [first] = check.faults;
    showVerdict("failed", "Not verified", `${text(first.place)}: ${text(first.why)}`);
  } else if (refusal !== null) {
    showVerdict("failed", "Not verified under the key you trust", text(refusal.message));
  } else if (entered === "") {
    showVerdict(
      "own",
      "Consistent with itself, under the bundle's own key",
      `${claim(check)} Whoever made the bundle may have made its key too. Paste the key that you ` +
        "trust below: only then does it prove anything.",
    );
  } else {
    showVerdict("verified", "Verified, under the key that you trust", claim(check));
  }
}

function claim({ entries, proof }) {
  const shown = plural(entries.length, "event");
  return `${shown} shown; every entry from ${proof.begin} to ${proof.end - 1} is accounted for.`;
}

function trustText(keys, refusal) {
  if (keys.length === 0) {
    return "No key given: the bundle is held against its own key alone.";
  }
  if (refusal !== null) {
    return text(refusal.message);
  }
  return `${keys.length === 1 ? "This key has" : "These keys have"} signed the checkpoint.`;
}

function showFailure(error) {
  if (error instanceof Unable) {
    showVerdict(
      "unable",
      "Not checked",
      `${error.message}. Nothing is known about the bundle: use a newer browser, or ` +
        "smart-audit verify evidence.",
    );
  } else {
    const place = error instanceof Fault ? error.message : `it cannot be read: ${error}`;
    showVerdict("failed", "Not verified", text(place));
  }
}

/** The members in the page's own data block; null when the bundle is too large for it. */
function embedded() {
  const data = part("bundle").textContent;
  if (data === "") {
    return null;
  }
  const members = Object.entries(JSON.parse(data));
  return new Map(members.map(([name, content]) => [name, encode(content)]));
}

function take(file) {
  if (file) {
    verify(async () => unzip(new Uint8Array(await file.arrayBuffer())), false, file.name);
  }
}

function listen() {
  part("file").addEventListener("change", ({ target }) => take(target.files[0]));
  part("key").addEventListener("input", judge);
  part("filter").addEventListener("input", () => current?.table.show());
  part("show-all").addEventListener("click", () => current?.table.showAll());
  part("open-all").addEventListener("click", () => {
    for (const button of document.querySelectorAll("#event-rows button[aria-expanded=false]")) {
      button.click();
    }
  });
  const root = document.documentElement;
  root.addEventListener("dragover", (event) => {
    event.preventDefault();
    root.classList.add("dropping");
  });
  root.addEventListener("dragleave", () => root.classList.remove("dropping"));
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    root.classList.remove("dropping");
    take(event.dataTransfer.files[0]);
  });
}

listen();
if (part("bundle").textContent === "") {
  showVerdict("empty", "No bundle in this page", "It is too large for it: choose the zip file.");
} else {
  verify(async () => embedded(), true, "the data in this page");
}
