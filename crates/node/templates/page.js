"use strict";
const live = document.getElementById("live");
const button = document.createElement("button");
let runs = true;
const name = () => { button.textContent = runs ? "Pause" : "Go on"; };
button.addEventListener("click", () => { runs = !runs; name(); });
name();
live.append(button, " ", document.createElement("span"));
const refresh = async () => {
  if (runs) {
    try {
      const answer = await fetch(location.pathname, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
      document.title = page.title;
      live.lastChild.textContent = "";
    } catch {
      live.lastChild.textContent = "The daemon does not answer.";
    }
  }
  setTimeout(refresh, 2000);
};
setTimeout(refresh, 2000);
