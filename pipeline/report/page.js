"use strict";
// Column heads become buttons that sort their table; without scripts the tables are as they came.
for (const table of document.querySelectorAll("table")) {
  table.querySelectorAll("thead th").forEach((head, place) => {
    // No <button>: Chromium leaves those out where it repeats a head on the next sheet of paper.
    const button = document.createElement("span");
    button.setAttribute("role", "button");
    button.tabIndex = 0;
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(table, head, place));
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort(table, head, place);
    });
  });
}

function sort(table, head, place) {
  const isNumber = head.classList.contains("number");
  const first = isNumber ? "descending" : "ascending";
  const other = isNumber ? "ascending" : "descending";
  const direction = head.getAttribute("aria-sort") === first ? other : first;
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => compare(a.cells[place].dataset.value, b.cells[place].dataset.value, isNumber, sign));
  table.querySelectorAll("thead th").forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction);
  table.tBodies[0].append(...rows);
}

// What is unknown stays at the end, whichever the direction.
function compare(a, b, isNumber, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  return sign * (isNumber ? Number(a) - Number(b) : a.localeCompare(b));
}

// Paper cannot be clicked.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
