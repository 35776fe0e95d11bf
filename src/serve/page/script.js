// Everything works without this. With it, tables follow what is typed and sorted without a new page, and "/" leads to
// the search.
"use strict";
(() => {
  let latest = 0;

  // Puts another view's results in the place of this one's, and its address in the address bar.
  async function show(url) {
    const turn = ++latest;
    const results = document.getElementById("results");
    results.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(url, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.getElementById("results");
      if (turn !== latest) return;
      if (!found || new URL(answer.url).pathname !== location.pathname) {
        location.assign(url);
        return;
      }
      results.replaceWith(found);
      history.replaceState(null, "", url);
    } catch {
      if (turn === latest) results.removeAttribute("aria-busy");
    }
  }

  function addressOf(form) {
    const url = new URL(form.action);
    for (const [name, value] of new FormData(form)) if (value) url.searchParams.append(name, value);
    return url;
  }

  let pause;
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-live]");
    if (!form || !document.getElementById("results")) return;
    clearTimeout(pause);
    pause = setTimeout(() => show(addressOf(form)), 120);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-live]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    show(link.href);
  });
  document.addEventListener("keydown", (event) => {
    const search = document.querySelector("input[type=search]");
    if (event.key !== "/" || !search || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    search.focus();
  });

  // An object file is checked where it is dropped.
  const form = document.getElementById("check");
  if (!form) return;

  async function check(file) {
    const body = new FormData();
    body.append("object", file);
    document.getElementById("results").replaceChildren(`Checking ${file.name} …`);
    try {
      const answer = await fetch(location.href, { method: "POST", body });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.getElementById("results").replaceWith(page.getElementById("results"));
    } catch (why) {
      document.getElementById("results").replaceChildren(`The server did not answer: ${why}`);
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const file = document.getElementById("object").files[0];
    if (file) check(file);
  });
  for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    form.addEventListener(name, (event) => {
      event.preventDefault();
      form.classList.toggle("over", over);
    });
  }
  form.addEventListener("drop", (event) => {
    const file = event.dataTransfer.files[0];
    if (file) check(file);
  });
})();
