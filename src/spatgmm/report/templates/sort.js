// A click on a heading sorts its table: numbers by value, what has none last, a second click turns
// the order round.
(function () {
  function value(cell) {
    var text = cell.textContent.trim().replace(/\u2212/g, "-").replace(/^[<>\u2264\u2265]\s*/, "");
    var number = parseFloat(text);
    return { text: text, number: number, none: text === "" || /^\u2013/.test(text) };
  }
  function compare(a, b) {
    if (isNaN(a.number) || isNaN(b.number)) {
      return a.text.localeCompare(b.text, "en", { numeric: true });
    }
    return a.number - b.number;
  }
  document.addEventListener("click", function (event) {
    var button = event.target.closest("th button");
    if (!button) return;
    var head = button.parentNode, table = head.closest("table"), body = table.tBodies[0];
    var at = head.cellIndex;
    var up = head.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("th[aria-sort]").forEach(function (th) {
      th.setAttribute("aria-sort", "none");
    });
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    table.classList.add("sorted");
    Array.from(body.rows)
      .map(function (row) { return { row: row, key: value(row.cells[at]) }; })
      .sort(function (a, b) {
        if (a.key.none || b.key.none) return a.key.none - b.key.none;
        return up ? compare(a.key, b.key) : compare(b.key, a.key);
      })
      .forEach(function (one) { body.appendChild(one.row); });
  });
})();
