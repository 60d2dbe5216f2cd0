// What pages with controls have in common: fields by their ids, what stands beside a slider, a link that brings it all again.
function byId(id) { return document.getElementById(id); }
const still = matchMedia("(prefers-reduced-motion: reduce)");
const number = id => +byId(id).value;
const whole = (id, least, most) => Math.min(most, Math.max(least, Math.round(number(id)) || least));

// Sliders by their ids, in words.
function sayOutputs(words) {
  for (const [id, said] of Object.entries(words)) {
    document.querySelector(`output[for=${id}]`).textContent = said;
    byId(id).setAttribute("aria-valuetext", said);
  }
}

// These fields in the page's address: those that are not as they were at first, and the seed.
class Link {
  constructor(ids) {
    this.begun = Object.fromEntries(ids.map(id => [id, byId(id).value]));
  }
  get hash() {
    const set = Object.entries(this.begun).filter(([id, value]) => byId(id).value !== value || id === "seed");
    return new URLSearchParams(set.map(([id]) => [id, byId(id).value])).toString();
  }
  // Fields as the address has them, the others as they were at first; whether it has any.
  restore() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const [id, value] of Object.entries(this.begun)) byId(id).value = given.get(id) ?? value;
    return given.size > 0;
  }
  // In words, where the link went.
  async copy() {
    location.replace(`#${this.hash}`);
    try {
      await navigator.clipboard.writeText(location.href);
      return "the link was copied";
    } catch { // a page from a disk may not
      return "the link stands in the address bar";
    }
  }
}
