// Sphinx fetches a page to show an excerpt of it, which browsers refuse on file://. PAGE_TEXTS, made with the site, has
// the texts of all pages: { page: [[anchor, text of the section], ...] }.
"use strict";

(() => {
  const AROUND = 120; // characters before a word that was found, and twice as many in all after it
  const query = (new URLSearchParams(location.search).get("q") ?? "").toLowerCase().trim();
  const words = query.split(/\s+/).filter((word) => word.length > 1);
  const escaped = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

  function textOf(link) {
    const [address, anchor] = link.split("#");
    const sections = PAGE_TEXTS[decodeURIComponent(address).replace(/\.html$/, "")] ?? [];
    const chosen = anchor ? sections.filter(([id]) => id === anchor) : sections;
    return chosen.map(([, text]) => text).join(" ");
  }

  function excerptOf(text) {
    const lower = text.toLowerCase();
    const found = [query, ...words].map((word) => lower.indexOf(word)).find((place) => place >= 0) ?? 0;
    const start = found > AROUND ? text.indexOf(" ", found - AROUND) + 1 : 0;
    const end = found + 2 * AROUND < text.length ? text.lastIndexOf(" ", found + 2 * AROUND) : text.length;
    return `${start ? "… " : ""}${text.slice(start, end)}${end < text.length ? " …" : ""}`;
  }

  function marked(text) {
    const paragraph = document.createElement("p");
    paragraph.className = "excerpt";
    const pattern = words.length ? new RegExp(`(${words.map(escaped).join("|")})`, "i") : null;
    (pattern ? text.split(pattern) : [text]).forEach((part, k) => {
      const node = paragraph.appendChild(k % 2 ? document.createElement("strong") : document.createTextNode(""));
      node.textContent = part;
    });
    return paragraph;
  }

  function complete(results) {
    for (const item of results.querySelectorAll("ul.search > li:not(:has(p.excerpt))")) {
      const text = textOf(item.querySelector("a")?.getAttribute("href") ?? "");
      if (text) item.append(marked(excerptOf(text)));
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const results = document.getElementById("search-results");
    new MutationObserver(() => complete(results)).observe(results, { childList: true, subtree: true });
    complete(results);
  });
})();
