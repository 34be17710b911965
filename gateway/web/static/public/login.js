// Logs in and opens the page, at the place that was asked for.
const form = document.getElementById("login");
const error = document.getElementById("error");

const stored = localStorage.getItem("theme");
if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  error.textContent = "";
  try {
    const answer = await fetch("/api/v1/login", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Evce-Page": "1" },
      body: JSON.stringify({ name: form.elements.name.value, password: form.elements.password.value }),
    });
    if (answer.ok) {
      location.reload();
      return;
    }
    const said = await answer.json().catch(() => ({}));
    error.textContent = sentence(said.error || `The gateway answered ${answer.status}`);
  } catch {
    error.textContent = "The gateway does not answer.";
  }
  button.disabled = false;
  form.elements.password.select();
});

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

form.elements.name.focus();
