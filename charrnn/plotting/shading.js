// All is in the page without this: what is known of a place is its title. It shows that as bars, and lets the keyboard,
// and fingers, reach what a mouse sees by pointing.
const text = document.getElementById("text"), said = document.getElementById("said"), card = document.getElementById("card");
let chosen = null, pointed = null;
// "2.13 bits, rank 4; e 31%, a 12%" -> what was before the semicolon, and names with per cent behind it.
function known(span) {
  if (span.title) { span.dataset.known = span.title; span.removeAttribute("title"); }
  const all = span.dataset.known, end = all.indexOf("; ");
  const likeliest = end < 0 ? [] : [...all.slice(end + 2).matchAll(/(.+?) ([\d.e+-]+)%(?:, |$)/gs)];
  return { all, figures: end < 0 ? all : all.slice(0, end), likeliest: likeliest.map(found => [found[1], +found[2]]) };
}
const signs = { " ": "␣", "\n": "↵", "\t": "⇥", "": "∎" };
const named = symbol => signs[symbol] || [...symbol].map(one => signs[one] || one).join("");
function show(span) {
  const { figures, likeliest } = known(span), came = named(span.textContent), head = document.createElement("p");
  head.style.margin = 0;
  head.textContent = `${came}  ${figures}${span.dataset.line ? `; copied from line ${span.dataset.line}` : ""}`;
  card.replaceChildren(head, ...likeliest.map(([symbol, percent]) => {
    const row = document.createElement("div"), name = document.createElement("b"), bar = document.createElement("s");
    const share = document.createElement("span");
    name.textContent = symbol;
    name.style.fontWeight = "inherit";
    bar.style.width = `${Math.max(percent, 0.5)}%`;
    share.textContent = `${percent}%`;
    row.className = symbol === came ? "came" : "";
    row.append(name, bar, share);
    return row;
  }));
  pointed = span;
  stay();
}
function hide() {
  pointed = null;
  card.hidden = true;
}
// Beside its place, wherever that has been scrolled to.
function stay() {
  if (!pointed) return;
  card.hidden = false;
  const at = pointed.getClientRects()[0] || pointed.getBoundingClientRect(), size = card.getBoundingClientRect();
  if (at.bottom < 0 || at.top > innerHeight) return hide();
  card.style.left = `${Math.max(4, Math.min(at.left, innerWidth - size.width - 4))}px`;
  card.style.top = `${at.bottom + 6 + size.height < innerHeight ? at.bottom + 6 : Math.max(4, at.top - 6 - size.height)}px`;
}
function choose(span, scroll) {
  if (!span) return;
  if (chosen) chosen.classList.remove("chosen");
  chosen = span;
  span.classList.add("chosen");
  if (scroll) span.scrollIntoView({ block: "nearest" });
  show(span);
  said.textContent = `${JSON.stringify(span.textContent)}: ${known(span).all}`;
}
// The next place, in the same block of text or in the one beside it.
function beside(span, back) {
  let next = span;
  do {
    next = back ? next.previousElementSibling : next.nextElementSibling;
  } while (next && next.tagName !== "I");
  if (next) return next;
  const all = [...document.querySelectorAll("#text i")], place = all.indexOf(span);
  return all[place + (back ? -1 : 1)];
}
const place = event => event.target instanceof Element && event.target.closest(".text i");
document.addEventListener("click", event => { const span = place(event); if (span) choose(span, false); else hide(); });
document.addEventListener("pointerover", event => {
  if (event.pointerType === "touch") return;
  const span = place(event);
  if (span) show(span); else hide();
});
document.addEventListener("scroll", stay, { passive: true });
addEventListener("resize", stay);
text.addEventListener("keydown", event => {
  if (event.key === "Escape") hide();
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  event.preventDefault();
  const inside = chosen && text.contains(chosen);
  choose(inside ? beside(chosen, event.key === "ArrowLeft") : text.querySelector("i"), true);
});
