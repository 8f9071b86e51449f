/* The slider of each scene of the gallery, and what is on either side of it. */
const views = ["visible", "infrared", "average", "maximum", "fused", "weights"]
for (const scene of document.querySelectorAll(".scene")) {
  const title = scene.dataset.title
  const left = scene.querySelector("img.left")
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 100, value: 50 })
  slider.ariaLabel = `${title}: how much of the left image is shown`
  slider.oninput = () => left.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`
  scene.append(slider)
  for (const [side, first] of [["left", "visible"], ["right", "fused"]]) {
    const image = scene.querySelector(`img.${side}`)
    const select = document.createElement("select")
    select.append(...views.map(view => new Option(view, view, false, view === first)))
    select.onchange = () => image.src = image.src.replace(/-[a-z]+\.webp$/, `-${select.value}.webp`)
    const label = document.createElement("label")
    label.append(`${side} `, select)
    scene.append(label)
  }
}

/* What the theme adds to a page: tables that are moved sideways, by keyboard too; buttons of code are no landmarks. */
addEventListener("load", () => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0
  for (const buttons of document.querySelectorAll(".md-code__nav")) buttons.role = "none"
})
