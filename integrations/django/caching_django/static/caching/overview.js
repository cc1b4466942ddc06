// Reads the figures anew every five seconds while the page is seen, and says when that fails. Without it the page is complete.
"use strict";
(() => {
  const place = document.getElementById("caching-figures");
  const readAt = document.getElementById("caching-read-at");
  const fresh = document.getElementById("caching-fresh");
  if (!place || !readAt || !fresh) return;

  const show = (answer) => {
    for (const cell of place.querySelectorAll("[data-figure]")) {
      const value = answer.figures[cell.dataset.figure];
      if (value !== undefined && cell.textContent !== value) cell.textContent = value;
    }
    readAt.dateTime = answer.read_at;
    readAt.textContent = answer.read_at_written;
    fresh.textContent = "";
  };
  const read = async () => {
    if (document.hidden) return;
    try {
      const response = await fetch(place.dataset.source, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (!response.ok || !(response.headers.get("Content-Type") || "").includes("json")) throw new Error(String(response.status));
      show(await response.json());
    } catch {
      fresh.textContent = " (not refreshed since; is the site running, and are you logged in?)";
    }
  };
  setInterval(read, 5000);
  document.addEventListener("visibilitychange", read);
})();
