// The console's own elements of behaviour. Every page works without them: links and forms do the same by a reload.
"use strict";
const trusted = window.trustedTypes ? trustedTypes.createPolicy("causeline", { createHTML: (text) => text }) : { createHTML: (text) => text };
const $ = (query, within = document) => within.querySelector(query);
const $$ = (query, within = document) => [...within.querySelectorAll(query)];
const inText = (node) => node instanceof HTMLElement && (node.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName));

// --- details of a step, put into their panel without a reload
const panel = $("#details");
let wanted = 0;
async function showStep(id, { push = true } = {}) {
  if (!panel) return;
  const mine = ++wanted;
  panel.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`${panel.dataset.details}?step=${encodeURIComponent(id)}`, { headers: { accept: "text/html" } });
    const text = await answer.text();
    if (mine !== wanted) return;
    if (!answer.ok) throw new Error(String(answer.status));
    panel.innerHTML = trusted.createHTML(text);
    for (const row of $$(".wf tr.on")) row.classList.remove("on");
    document.getElementById(`step-${id}`)?.classList.add("on");
    if (push) {
      const here = new URL(location.href);
      here.searchParams.set("step", id); here.hash = "";
      history.pushState({ step: id }, "", here);
    }
  } catch {
    if (mine === wanted) { panel.replaceChildren(Object.assign(document.createElement("p"), { className: "bad", textContent: "✗ The details could not be loaded. Choose the step again, or reload the page." })); }
  } finally { if (mine === wanted) panel.removeAttribute("aria-busy"); }
}
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-step]");
  if (!link || !panel || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  showStep(link.dataset.step);
  document.getElementById(`step-${link.dataset.step}`)?.scrollIntoView({ block: "nearest" });
});
addEventListener("popstate", () => { const id = new URL(location.href).searchParams.get("step"); if (id) showStep(id, { push: false }); else if (panel) location.reload(); });

// --- rows by keyboard
function rows() { return $$("[data-rows] tbody tr").filter((row) => !row.hidden && $("a", row)); }
function focusRow(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[Math.min(Math.max(at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by, 0), all.length - 1)];
  ($("a.step", next) ?? $("a", next)).focus();
  next.scrollIntoView({ block: "nearest" });
}
function toCause(by) {
  const links = $$(".causes > li").map((cause) => $("a.at", cause)).filter((link, at, all) => link && all.findIndex((other) => other?.dataset.step === link.dataset.step) === at);
  if (!links.length) return;
  const shown = new URL(location.href).searchParams.get("step") ?? $(".wf tr.on")?.id.slice(5);
  const at = links.findIndex((link) => link.dataset.step === shown);
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : (at + by + links.length) % links.length];
  next.click();
  document.getElementById(`step-${next.dataset.step}`)?.scrollIntoView({ block: "center" });
}
// --- steps below a step are folded away, and unfolded: by h and l at the row, or by the button before its name
const folds = new Set();
let waterfall;
const depthOf = (row) => Number(row.dataset.depth ?? 0);
function foldButton(id, isFolded) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "fold", textContent: isFolded ? "▸" : "▾" });
  button.setAttribute("aria-label", isFolded ? "Unfold" : "Fold"); button.setAttribute("aria-expanded", String(!isFolded)); button.dataset.fold = id; button.tabIndex = -1;
  return button;
}
function foldRows() {
  let hiddenBelow = Infinity;
  const all = $$(".wf tbody tr[data-depth]");
  all.forEach((row, at) => {
    const depth = depthOf(row), id = row.id.slice(5), isParent = all[at + 1] && depthOf(all[at + 1]) > depth;
    if (depth <= hiddenBelow) hiddenBelow = Infinity;
    row.hidden = depth > hiddenBelow;
    if (isParent) { $(".fold", row)?.remove(); $("a.step", row).before(foldButton(id, folds.has(id))); }
    if (isParent && folds.has(id) && hiddenBelow === Infinity) hiddenBelow = depth;
  });
}
function fold(id, isFolded) {
  if (isFolded) folds.add(id); else folds.delete(id);
  if (waterfall) waterfall.refold(); else foldRows();
  $("a.step", document.getElementById(`step-${id}`) ?? document)?.focus();
}
function foldHere(isFolded) {
  const row = document.activeElement.closest?.(".wf tbody tr") ?? $(".wf tr.on");
  if (!row) return;
  const id = row.id.slice(5);
  if ($(".fold", row) && folds.has(id) !== isFolded) fold(id, isFolded);
  else if (isFolded) { const parent = parentOf(row); if (parent) $("a.step", parent).focus(); }
}
function parentOf(row) { for (let above = row.previousElementSibling; above; above = above.previousElementSibling) if (above.dataset.depth !== undefined && depthOf(above) < depthOf(row)) return above; return null; }
document.addEventListener("click", (event) => { const button = event.target.closest?.("button[data-fold]"); if (button) fold(button.dataset.fold, !folds.has(button.dataset.fold)); });

const KEYS = [["/", "find a run"], ["?", "these keys"], ["j / k", "next / previous row"], ["h / l", "fold / unfold what is below a step; h again: to its parent"], ["Enter", "open the row"], ["c / C", "next / previous cause"], ["e", "evidence"], ["[ / ]", "newer / older run of the list"], ["a o r", "approve, correct, reject"], ["Ctrl+Enter", "send the form that one writes in"], ["z", "times in UTC / here"], ["y", "copy the link"], ["Esc", "leave a field, close"]];
let dialog;
function showKeys() {
  if (!dialog) {
    dialog = document.createElement("dialog");
    const title = Object.assign(document.createElement("h2"), { textContent: "Keys" });
    const list = document.createElement("dl"); list.className = "facts";
    for (const [key, what] of KEYS) {
      const row = document.createElement("div");
      const name = document.createElement("dt"); name.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      row.append(name, Object.assign(document.createElement("dd"), { textContent: what })); list.append(row);
    }
    const close = Object.assign(document.createElement("button"), { textContent: "Close", type: "button" });
    close.addEventListener("click", () => dialog.close());
    dialog.append(title, list, close); dialog.setAttribute("aria-label", "Keys");
    document.body.append(dialog);
  }
  dialog.showModal();
}
function say(text) {
  const note = Object.assign(document.createElement("p"), { className: "notice good", textContent: text });
  note.setAttribute("role", "status");
  $("#main").prepend(note); setTimeout(() => note.remove(), 3000);
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && inText(document.activeElement)) { document.activeElement.blur(); return; }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) {
    // What is written says which decision is meant: a value is a correction, a note alone goes with the first button.
    const form = event.target.form, meant = event.target.value.trim() ? event.target.dataset.sends : null;
    event.preventDefault(); form.requestSubmit((meant && $(meant, form)) || $("button", form));
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || inText(event.target) || dialog?.open) return;
  const act = {
    "/": () => $("#find")?.focus(), "?": showKeys, j: () => focusRow(1), k: () => focusRow(-1), h: () => foldHere(true), l: () => foldHere(false), c: () => toCause(1), C: () => toCause(-1),
    e: () => $(".tabs a[href*='/evidence']")?.click(), y: () => navigator.clipboard?.writeText(location.href).then(() => say("The link is copied.")),
    z: turnZone, "[": () => $("[data-to=newer]")?.click(), "]": () => $("[data-to=older]")?.click(),
    a: () => $("[data-key=a]")?.click(), o: () => { const value = $("textarea[name=value]"); if (value && !value.value.trim()) value.focus(); else $("[data-key=o]")?.click(); }, r: () => $("[data-key=r]")?.click(),
  }[event.key];
  if (act) { event.preventDefault(); act(); }
});
for (const button of $$("[data-keys]")) { button.hidden = false; button.addEventListener("click", showKeys); }
for (const button of $$("[data-reload]")) { button.hidden = false; button.addEventListener("click", () => location.reload()); }

// --- many steps: the rows of the page are replaced by those in view, drawn from slim columns
class Waterfall {
  static ROW = 27;
  constructor(table) { this.table = table; this.body = $("tbody", table); this.box = table.parentElement; }
  async start() {
    let answer = await fetch(this.table.dataset.waterfall);
    for (let tries = 0; answer.status === 503 && tries < 5; tries++) { // the server was busy for a minute; what it worked out it has now
      await new Promise((done) => setTimeout(done, 1000 * (answer.headers.get("retry-after") ?? 5)));
      answer = await fetch(this.table.dataset.waterfall);
    }
    if (!answer.ok) return;
    this.all = await answer.json();
    this.refold(false);
    this.body.replaceChildren(this.space(this.at.length)); // the box is measured without the rows that go
    this.box.classList.add("virtual");
    this.box.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()), { passive: true });
    const chosen = new URL(location.href).searchParams.get("step");
    if (chosen) this.reveal(chosen); else this.draw(true);
    new ResizeObserver(() => this.draw()).observe(this.box);
  }
  refold(isDrawn = true) {
    const { depth, id } = this.all;
    let hiddenBelow = Infinity;
    this.at = [];
    for (let at = 0; at < id.length; at++) {
      if (depth[at] <= hiddenBelow) hiddenBelow = Infinity;
      if (depth[at] > hiddenBelow) continue;
      this.at.push(at);
      if (folds.has(id[at]) && hiddenBelow === Infinity) hiddenBelow = depth[at];
    }
    if (isDrawn) this.draw(true);
  }
  reveal(id) { const whole = this.all.id.indexOf(id); if (whole >= 0 && !this.at.includes(whole)) { folds.clear(); this.refold(false); } const at = this.at.indexOf(whole); if (at >= 0) { this.box.scrollTop = Math.max(0, at * Waterfall.ROW - this.box.clientHeight / 2); this.draw(true); document.getElementById(`step-${id}`)?.classList.add("on"); } }
  draw(force = false) {
    const first = Math.max(0, Math.floor(this.box.scrollTop / Waterfall.ROW) - 20);
    const last = Math.min(this.at.length, first + Math.ceil(this.box.clientHeight / Waterfall.ROW) + 40);
    if (!force && first === this.first && last === this.last) return;
    [this.first, this.last] = [first, last];
    const drawn = document.createDocumentFragment();
    drawn.append(this.space(first));
    for (let at = first; at < last; at++) drawn.append(this.row(this.at[at], at));
    drawn.append(this.space(this.at.length - last));
    this.body.replaceChildren(drawn);
  }
  space(count) { const row = document.createElement("tr"); row.setAttribute("aria-hidden", "true"); const cell = document.createElement("td"); cell.colSpan = 5; cell.style.height = `${count * Waterfall.ROW}px`; row.append(cell); row.className = "spacer"; if (!count) row.hidden = true; return row; }
  row(at, place) {
    const { all } = this, row = document.createElement("tr");
    row.id = `step-${all.id[at]}`; row.className = all.tone[at]; row.setAttribute("aria-rowindex", String(place + 2)); row.dataset.depth = all.depth[at];
    const mark = document.createElement("td"); mark.className = "c-mark";
    for (const number of all.marks[at] ?? []) { const link = document.createElement("a"); link.className = number > 1 ? "num later" : "num"; link.href = `#cause-${number}`; link.textContent = number; mark.append(link); }
    for (const number of all.follows[at] ?? []) { const link = document.createElement("a"); link.className = "doubtful small"; link.href = `#cause-${number}`; link.textContent = `↳${number}`; mark.append(link); }
    const name = document.createElement("td"); name.className = "c-name";
    const indent = document.createElement("span"); indent.className = `d${Math.min(all.depth[at], 8)}`;
    const link = document.createElement("a"); link.className = "step"; link.dataset.step = all.id[at]; link.href = `?step=${encodeURIComponent(all.id[at])}`; link.title = `${all.kind[at]}:${all.name[at]}`;
    link.append(Object.assign(document.createElement("span"), { className: "kind", textContent: all.kind[at] }), ` ${all.name[at]}`); name.append(indent, ...(all.depth[at + 1] > all.depth[at] ? [foldButton(all.id[at], folds.has(all.id[at]))] : []), link);
    const bar = document.createElement("td"); bar.className = "c-bar";
    if (all.offset_us[at] !== null) {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"); svg.setAttribute("class", "bar"); svg.setAttribute("viewBox", "0 0 1000 10"); svg.setAttribute("preserveAspectRatio", "none"); svg.setAttribute("aria-hidden", "true");
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect"); rect.setAttribute("class", `${all.tone[at]} ${all.kind[at]}`);
      rect.setAttribute("x", Math.min((1000 * all.offset_us[at]) / all.span_us, 997)); rect.setAttribute("width", Math.max((1000 * (all.duration_us[at] ?? 0)) / all.span_us, 3)); rect.setAttribute("height", 10);
      svg.append(rect); bar.append(svg);
    }
    const took = Object.assign(document.createElement("td"), { className: "c-time n", textContent: all.status[at] === "noted" ? "" : all.took[at] });
    const status = document.createElement("td"); status.className = "c-status";
    const word = all.status[at]; status.append(Object.assign(document.createElement("span"), { className: word === "ok" ? "muted" : word === "error" ? "bad" : "doubtful", textContent: word === "noted" ? "" : word === "ok" ? "ok" : word === "error" ? "✗ error" : `! ${word}` }));
    row.append(mark, name, bar, took, status);
    return row;
  }
}
for (const table of $$("[data-waterfall]")) if ($(".hidden-rows", table)) { waterfall = new Waterfall(table); waterfall.start().catch(() => { waterfall = undefined; }); } else foldRows();

// --- one zone for all times of a page: UTC, or this machine's, as long as the tab lives; the other one on hover
function zoned(local) {
  for (const time of $$("time[datetime]")) {
    const at = new Date(time.dateTime), utc = time.dateTime.slice(0, 19).replace("T", " ");
    const here = new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19).replace("T", " ");
    time.textContent = local ? here : utc; time.title = local ? `${utc} UTC` : `${here} here`;
  }
  const zone = local ? Intl.DateTimeFormat().resolvedOptions().timeZone : "UTC";
  for (const name of $$("[data-zone]")) name.textContent = zone;
}
let isLocal = sessionStorage.getItem("zone") === "local";
function turnZone() { isLocal = !isLocal; sessionStorage.setItem("zone", isLocal ? "local" : "utc"); zoned(isLocal); }
zoned(isLocal);
for (const button of $$("[data-turn-zone]")) { button.hidden = false; button.addEventListener("click", turnZone); }

// --- what is cited is in sight
for (const cited of $$(".excerpt mark")) { const box = cited.parentElement; box.scrollTop = cited.offsetTop - box.offsetTop - box.clientHeight / 3; }

// --- lease clocks and live lists
for (const clock of $$("[data-until]")) {
  const until = Date.parse(clock.dataset.until);
  const tick = () => { const left = Math.max(0, Math.round((until - Date.now()) / 1000)); clock.textContent = left ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left` : "the lease has ended"; clock.classList.toggle("bad", left < 60); if (left) setTimeout(tick, 1000); };
  tick();
}
// A page follows only while it is looked at: a browser has few connections to one host, and each follower holds one.
for (const live of $$("[data-live]")) {
  const said = $("[data-said]", live), show = $("a", live);
  let source;
  const tell = (text, isBad) => { live.hidden = !text; said.textContent = isBad ? `✗ ${text}` : text; live.classList.toggle("bad", isBad); show.hidden = isBad; };
  const follow = () => {
    if (source || document.hidden) return;
    source = new EventSource(live.dataset.live);
    source.addEventListener("news", (event) => tell(event.data, false));
    source.addEventListener("away", (event) => tell(`${event.data} What is shown may be out of date.`, true));
    source.addEventListener("error", () => { tell("The console does not answer. What is shown may be out of date.", true); if (source?.readyState === EventSource.CLOSED) { leave(); setTimeout(follow, 5000); } });
  };
  const leave = () => { source?.close(); source = undefined; };
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : follow()));
  addEventListener("pagehide", leave); addEventListener("pageshow", follow);
  follow();
}
