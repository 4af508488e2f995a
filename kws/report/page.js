// Draws the charts, and lets one sound at a time be heard and seen.
for (const place of document.querySelectorAll(".chart")) {
  const spec = JSON.parse(place.nextElementSibling.textContent);
  vegaEmbed(place, spec, { actions: false, renderer: "svg", mode: "vega-lite" }).then(({ view }) => follow(place, view));
}

// A line in the timeline shows where its stream is being played; a click goes there.
function follow(place, view) {
  const player = place.closest("figure").querySelector("audio");
  if (!player) return;
  const start = Number(player.dataset.start);
  onTime(player, (now) => view.signal("now", now < 0 ? -1 : start + now).runAsync());
  view.addEventListener("click", (event) => {
    const left = place.querySelector(".background").getBoundingClientRect().left;
    player.currentTime = Math.max(0, view.scale("x").invert(event.clientX - left) - start);
    player.play();
  });
}

function onTime(player, show) {
  const step = () => {
    show(player.currentTime);
    if (!player.paused) requestAnimationFrame(step);
  };
  player.addEventListener("play", step);
  player.addEventListener("seeked", step);
  player.addEventListener("ended", () => show(-1));
}

for (const player of document.querySelectorAll("audio")) {
  player.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== player) other.pause();
  });
  const picture = player.parentElement.querySelector(".picture");
  if (picture) onTime(player, (now) => picture.style.setProperty("--now", now / player.duration));
}

// Shows the sounds of one keyword.
for (const choice of document.querySelectorAll(".choose select")) {
  choice.addEventListener("change", () => {
    for (const item of choice.closest("section").querySelectorAll("[data-keyword]"))
      item.hidden = choice.value !== "" && item.dataset.keyword !== choice.value;
  });
}
