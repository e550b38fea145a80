// What makes the console quicker for people with a browser that runs scripts. All pages work without it.
"use strict";
(() => {
  const find = (selector, root = document) => root.querySelector(selector);
  const announce = (text) => { find("#status").textContent = text || ""; };

  // Loads a page of the console and takes over the part of it that is shown here already.
  let loading = null;
  async function load(url, selector) {
    loading?.abort();
    loading = new AbortController();
    try {
      const response = await fetch(url, { signal: loading.signal, credentials: "same-origin" });
      // The session has ended: the browser is to show the page that says so.
      if (response.redirected) { location.assign(response.url); return null; }
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const [from, to] = [find(selector, page), find(selector)];
      if (!from || !to) return null;
      const focused = to.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      const open = [...to.querySelectorAll("details")].map((details) => details.open);
      to.replaceWith(document.adoptNode(from));
      from.querySelectorAll("details").forEach((details, place) => { details.open = open[place] ?? details.open; });
      decorate(from);
      if (focused) find(`a[href="${CSS.escape(focused)}"]`, from)?.focus();
      return from;
    } catch (error) {
      if (error.name !== "AbortError") announce("");
      return null;
    }
  }

  // Search as you type.
  const filters = find("#filters");
  if (filters) {
    let timer = 0;
    const search = async () => {
      const values = [...new FormData(filters)].filter(([, value]) => value !== "");
      const query = new URLSearchParams(values).toString();
      const url = location.pathname + (query ? "?" + query : "");
      const results = await load(url, "#results");
      if (!results) return;
      history.replaceState(null, "", url);
      announce(results.dataset.summary);
    };
    filters.addEventListener("input", (event) => {
      clearTimeout(timer);
      timer = setTimeout(search, event.target.type === "search" ? 150 : 0);
    });
    filters.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(timer);
      search();
    });
  }

  // Live updates, while the page is seen: a browser has few connections for one address.
  const live = find("[data-updates]")?.id;
  if (live && window.EventSource) {
    let source = null;
    let timer = 0;
    const refresh = async () => {
      timer = 0;
      const shown = await load(location.href, "#" + live);
      if (shown) announce(shown.dataset.summary);
    };
    const listen = () => {
      source?.close();
      const { updates, customer } = find("#" + live).dataset;
      if (document.hidden || !updates) return;
      // From when the page was read, so that nothing is missed.
      source = new EventSource(updates);
      source.onmessage = (event) => {
        if (customer && JSON.parse(event.data).customer_id !== customer) return;
        // Not put off by what happens meanwhile: where something always happens, the page would never be shown anew.
        timer ||= setTimeout(refresh, 300);
      };
    };
    document.addEventListener("visibilitychange", async () => {
      source?.close();
      // First, so that it listens from now on, however long it was not seen.
      if (!document.hidden) await refresh();
      listen();
    });
    window.addEventListener("pagehide", () => source?.close());
    listen();
  }

  // What goes on without events, such as an import, is shown anew every second until it has ended.
  const showAnew = async () => {
    const shown = find("[data-goes-on]");
    if (!shown) return;
    const next = document.hidden ? null : await load(location.href, "#" + shown.id);
    if (next && next.dataset.summary !== shown.dataset.summary) announce(next.dataset.summary);
    setTimeout(showAnew, 1000);
  };
  setTimeout(showAnew, 1000);

  // Keys. A field that is being written in gets them itself.
  const isWriting = (element) => element.closest("input, select, textarea, [contenteditable]");
  const move = (step) => {
    const rows = [...document.querySelectorAll("a[data-row]")];
    const place = rows.indexOf(document.activeElement);
    const next = place < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(place + step, 0), rows.length - 1);
    rows[next]?.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "n") find('[data-key="n"]')?.click();
    else if (event.key === "?") find("#help")?.showModal();
    else if (event.key === "/") find('[data-key="/"]')?.focus();
    else return;
    event.preventDefault();
  });

  // Buttons that copy, and JSON that is checked while it is written.
  function decorate(root) {
    root.querySelectorAll("[data-copy]").forEach((block) => {
      if (!navigator.clipboard || find("button", block)) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = block.dataset.copy;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(find("pre", block).textContent);
        announce(block.dataset.copied);
      });
      block.append(button);
    });
    root.querySelectorAll("textarea[data-json]").forEach((area) => {
      const fault = document.createElement("p");
      fault.className = "fault";
      fault.id = area.id + "-live";
      fault.hidden = true;
      area.after(fault);
      area.addEventListener("input", () => {
        let text = "";
        try { if (area.value.trim()) JSON.parse(area.value); } catch (error) { text = area.dataset.json + ": " + error.message; }
        fault.textContent = text;
        fault.hidden = !text;
      });
    });
  }
  decorate(document);
  find(".summary[tabindex]")?.focus();
})();
