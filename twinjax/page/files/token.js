"use strict";
// The token goes into a cookie that no script can read, and never into an address.
document.getElementById("gate").addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = document.getElementById("said");
  said.textContent = "";
  try {
    const answer = await fetch("/token", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: document.getElementById("token").value }),
    });
    if (answer.ok) location.reload();
    else said.textContent = (await answer.json()).error;
  } catch {
    said.textContent = "The server does not answer.";
  }
});
