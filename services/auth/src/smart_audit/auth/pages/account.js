// What links in mails lead to. The token is in the fragment, which the browser has sent nowhere; it
// is used by a click, because programs that scan mail open links too.
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const page = location.pathname.split("/").filter(Boolean).at(-1);
const section = document.getElementById(page);
const form = section?.querySelector("form");
const status = document.querySelector("[role=status]");

function say(text, bad = false) {
  status.textContent = text;
  status.classList.toggle("bad", bad);
}

async function call(path, body, accessToken) {
  const headers = { "content-type": "application/json" };
  if (accessToken) headers.authorization = `Bearer ${accessToken}`;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const read = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(read.message ?? `The server answered ${answer.status}.`);
  return read;
}

const steps = {
  async "verify-email"() {
    const { email } = await call("/v1/auth/email:verify", { token });
    return `${email} is confirmed. You can close this page.`;
  },
  async "reset-password"({ new_password, again }) {
    if (new_password !== again) throw new Error("The two passwords are not the same.");
    await call("/v1/auth/password:reset", { token, new_password });
    return "Your password is set. Sign in with it.";
  },
  async "accept-invitation"({ email, password }) {
    const login = await call("/v1/auth/login", { email, password });
    if (!login.access_token) {
      throw new Error("You have a second factor: sign in where you always do, and accept there.");
    }
    await call("/v1/invitations:accept", { token }, login.access_token);
    return "You are a member now. You can close this page.";
  },
};

async function run(step, ...values) {
  const buttons = section.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  say("One moment …");
  try {
    say(await step(...values));
    form.hidden = true;
    history.replaceState(null, "", location.pathname);
  } catch (error) {
    say(error.message, true);
    for (const button of buttons) button.disabled = false;
  }
}

async function showInvitation() {
  const { organisation_name, email, role } = await call("/v1/invitations:show", { token });
  document.getElementById("invitation").textContent =
    `${organisation_name} asks you to join as ${role}. If you have no account yet, make one first.`;
  form.elements.email.value = email;
}

if (!section || !token) {
  say("This link is not complete. Open it from the mail once more.", true);
} else {
  section.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(steps[page], Object.fromEntries(new FormData(form)));
  });
  if (page === "accept-invitation") {
    showInvitation().catch((error) => say(error.message, true));
    document.getElementById("decline").addEventListener("click", () =>
      run(async () => {
        await call("/v1/invitations:decline", { token });
        return "You have declined. You can close this page.";
      }),
    );
  }
}
