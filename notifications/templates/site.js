"use strict";
// Finds households by code and village among what the page brings along; asks nobody else.
(function () {
  var known = JSON.parse(document.getElementById("known").textContent);
  var field = document.getElementById("q");
  var list = document.getElementById("found");
  var told = document.getElementById("told");
  var MOST = 40;

  function matches(words, text) {
    return words.every(function (word) { return text.indexOf(word) >= 0; });
  }

  function search(words) {
    var villages = [], homes = [];
    known.forEach(function (unit) {
      unit[2].forEach(function (village, place) {
        var where = (unit[0] + " " + village[0]).toLowerCase();
        if (matches(words, where)) {
          villages.push([village[0] + "（" + unit[0] + "，" + village[1].length + " 户）", unit[1] + "#v" + (place + 1)]);
        }
        village[1].forEach(function (home) {
          if (matches(words, (home[0] + " " + where).toLowerCase())) {
            homes.push([home[0] + "　" + village[0], home[1]]);
          }
        });
      });
    });
    return [villages, homes];
  }

  function show() {
    var words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    list.textContent = "";
    told.textContent = "";
    if (!words.length) return;
    var found = search(words), all = found[0].concat(found[1]);
    all.slice(0, MOST).forEach(function (one) {
      var link = document.createElement("a");
      link.href = one[1];
      link.textContent = one[0];
      list.appendChild(document.createElement("li")).appendChild(link);
    });
    told.textContent = all.length
      ? found[0].length + " 个村，" + found[1].length + " 户" + (all.length > MOST ? "，列出前 " + MOST + " 条；再写几个字" : "")
      : "没有找到；写编号或村名的一部分";
  }

  // Down and up go through what was found, Enter opens its first, Escape begins anew.
  document.getElementById("search").addEventListener("keydown", function (event) {
    var links = Array.prototype.slice.call(list.querySelectorAll("a"));
    var at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" && links.length) {
      links[Math.min(at + 1, links.length - 1)].focus();
    } else if (event.key === "ArrowUp" && at >= 0) {
      (at ? links[at - 1] : field).focus();
    } else if (event.key === "Escape") {
      field.value = "";
      field.focus();
      show();
    } else if (event.key === "Enter" && event.target === field && !event.isComposing && links.length) {
      links[0].click();
    } else {
      return;
    }
    event.preventDefault();
  });
  field.addEventListener("input", show);
  // A browser that comes back keeps what was written.
  window.addEventListener("pageshow", show);
  document.getElementById("search").hidden = false;
})();
