// Behaviour of Paceline's pages. Charts are drawn from the JSON that a page carries;
// live parts are re-read when the server says that something changed. Without
// JavaScript every number is still in the page's tables.
"use strict";
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Theme: the system's, or the reader's choice, remembered.
  const themeButton = document.getElementById("theme");
  const setTheme = (t) => { if (t) document.documentElement.dataset.theme = t; else delete document.documentElement.dataset.theme; };
  try { setTheme(localStorage.getItem("theme")); } catch { /* storage is off: the system's choice holds */ }
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  themeButton?.addEventListener("click", () => {
    const next = dark() ? "light" : "dark";
    setTheme(next);
    try { localStorage.setItem("theme", next); } catch { /* not remembered */ }
    drawAll();
  });

  // Colours of a chart are custom properties ("var(--s1)"), looked up when it's drawn.
  const colours = (v) => {
    if (typeof v === "string") return v.startsWith("var(") ? css(v.slice(4, -1)) : v;
    if (Array.isArray(v)) return v.map(colours);
    if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, colours(x)]));
    return v;
  };

  const charts = new Map();
  function draw(el) {
    const data = document.getElementById(el.dataset.option);
    if (!data || !window.echarts) return;
    const option = colours(JSON.parse(data.textContent));
    option.animation = false;
    const hint = option.tooltip || (option.tooltip = {});
    hint.confine = true;
    hint.formatter = (p) => tip(Array.isArray(p) ? p : [p]);
    let chart = charts.get(el);
    if (!chart) {
      chart = echarts.init(el, null, { renderer: "canvas" });
      charts.set(el, chart);
      chart.on("click", (p) => { if (p.data && p.data.href) location.href = p.data.href; });
      chart.getZr().on("dblclick", () => chart.dispatchAction({ type: "dataZoom", start: 0, end: 100 }));
    }
    chart.setOption(option, true);
  }
  function tip(points) {
    const box = document.createElement("div");
    for (const p of points) {
      const text = p.data && p.data.tip;
      if (!text) continue;
      for (const line of text.split("\n")) {
        const row = document.createElement("div");
        row.textContent = line;
        box.append(row);
      }
    }
    return box.childNodes.length ? box : "";
  }
  function drawAll() {
    charts.forEach((chart, el) => { if (!el.isConnected) { chart.dispose(); charts.delete(el); } });
    document.querySelectorAll("[data-option]").forEach(draw);
  }
  addEventListener("resize", () => charts.forEach((c) => c.resize()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();

  // Copy buttons.
  document.addEventListener("click", async (e) => {
    const b = e.target.closest("[data-copy]");
    if (!b) return;
    try {
      await navigator.clipboard.writeText(b.dataset.copy);
      b.textContent = "copied";
    } catch {
      b.textContent = "select it below";
    }
  });

  // Filters act as soon as they are changed; the address holds them.
  document.querySelectorAll("form.filters select").forEach((s) => s.addEventListener("change", () => s.form.submit()));

  // Keys: / goes to the search field, [ and ] to the page before and after.
  addEventListener("keydown", (e) => {
    if (e.target.closest("input, textarea, select") || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "/") { const q = document.querySelector("input[type=search]"); if (q) { e.preventDefault(); q.focus(); } }
    if (e.key === "[") document.querySelector("a[rel=prev]")?.click();
    if (e.key === "]") document.querySelector("a[rel=next]")?.click();
  });

  // Live: progress is shown as it comes; a change of the run reads the page again and
  // puts in the parts that differ, so that nothing jumps under the pointer.
  const live = document.querySelector("[data-live]");
  if (live && window.EventSource) {
    const events = new EventSource(live.dataset.live);
    let reading = false, again = false;
    const shown = new Map(); // what the server gave of each part: opening a fold is no change
    document.querySelectorAll("[data-part]").forEach((part) => shown.set(part.dataset.part, part.innerHTML));
    const reread = async () => {
      if (reading) { again = true; return; }
      reading = true;
      try {
        const res = await fetch(location.href, { headers: { Accept: "text/html" } });
        if (res.ok) {
          const fresh = new DOMParser().parseFromString(await res.text(), "text/html");
          document.querySelectorAll("[data-part]").forEach((old) => {
            const now = fresh.querySelector(`[data-part="${old.dataset.part}"]`);
            if (!now || now.innerHTML === shown.get(old.dataset.part)) return;
            const folds = new Map([...old.querySelectorAll("details[data-key]")].map((d) => [d.dataset.key, d.open]));
            shown.set(old.dataset.part, now.innerHTML);
            old.innerHTML = now.innerHTML;
            old.querySelectorAll("details[data-key]").forEach((d) => { if (folds.has(d.dataset.key)) d.open = folds.get(d.dataset.key); });
          });
          drawAll();
          if (fresh.querySelector("[data-ended]")) {
            events.close();
            const box = document.getElementById("progress");
            if (box) box.hidden = true;
          }
        }
      } finally {
        reading = false;
        if (again) { again = false; reread(); }
      }
    };
    events.addEventListener("change", reread);
    events.addEventListener("progress", (e) => {
      const p = JSON.parse(e.data), box = document.getElementById("progress");
      if (!box) return;
      box.hidden = false;
      const rate = p.rate > 0 ? ` · ${p.rate.toPrecision(4)} tok/s` : "";
      const left = p.left_sec > 0 ? ` · ${Math.ceil(p.left_sec)} s left` : "";
      box.querySelector(".what").textContent = `round ${p.round} of ${p.rounds} · ${p.workload || "machine"} · ${p.phase}${rate}${left}`;
      box.querySelector("progress").value = p.done;
    });
  }
})();
