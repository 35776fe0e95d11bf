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

  // The check of an object file: programs and kernels, the worst first. Whatever is shown is set as text.
  const form = document.getElementById("check");
  if (!form) return;
  const ORDER = ["fails", "unknown", "guarded", "resolves"];

  function element(name, text, attributes = {}) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function tableOf(report) {
    const rows = [];
    for (const kernel of report.kernels) {
      for (const object of kernel.objects) for (const program of object.programs) rows.push([kernel, program]);
    }
    rows.sort(([k, a], [l, b]) => b.selected - a.selected || ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict)
      || (l.nodes || 0) - (k.nodes || 0));
    const table = element("table");
    table.append(element("caption", "Programs and kernels, the worst first"));
    const head = element("tr");
    for (const name of ["Verdict", "Kernel", "Nodes", "Program", "What", "Where", "Instead"]) {
      head.append(element("th", name, { scope: "col" }));
    }
    table.append(element("thead"));
    table.tHead.append(head);
    const body = element("tbody");
    for (const [kernel, program] of rows) {
      const finding = program.findings[0];
      const row = element("tr");
      const verdict = program.selected ? program.verdict : `(${program.verdict})`;
      row.append(element("td", verdict, { class: `verdict-${program.verdict}` }));
      const name = element("td");
      name.append(element("a", kernel.name, { href: `kernels/${kernel.kernelId}` }));
      row.append(name);
      row.append(element("td", kernel.nodes ?? "", { class: "number" }));
      row.append(element("th", program.name, { scope: "row" }));
      row.append(element("td", finding ? `${finding.subject} ${finding.name}: ${finding.reason}` : ""));
      row.append(element("td", finding?.file ? `${finding.file}:${finding.line}` : ""));
      row.append(element("td", finding?.instead ?? ""));
      body.append(row);
    }
    table.append(body);
    return table;
  }

  async function check(file) {
    const results = document.getElementById("results");
    results.replaceChildren(element("p", `Checking ${file.name} …`));
    try {
      const url = new URL("v1/check", location.href);
      url.searchParams.append("name", file.name);
      const answer = await fetch(url, { method: "POST", body: file });
      const report = await answer.json();
      if (!answer.ok) {
        results.replaceChildren(element("p", report.detail, { class: "no", role: "alert" }));
        return;
      }
      const count = report.counts;
      const said = ORDER.filter((word) => count[word]).map((word) => `${count[word]} ${word}`).join(", ");
      results.replaceChildren(element("p", `${file.name}: ${said || "no program counts"}`, { role: "status" }), tableOf(report));
      for (const kernel of report.kernels) {
        if (kernel.error) results.append(element("p", `${kernel.name}: ${kernel.error}`, { class: "no" }));
      }
    } catch (why) {
      results.replaceChildren(element("p", `The server did not answer: ${why}`, { class: "no", role: "alert" }));
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
