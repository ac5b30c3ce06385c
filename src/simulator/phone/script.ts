/** The phone page's only script: asks for the page's next version, puts it in place without losing what was typed, and counts down. Without it the page refreshes itself. */
export const phoneScript = `'use strict'
const area = () => document.querySelector('[data-version]')

function show(page) {
  const next = page.querySelector('[data-version]')
  const current = area()
  if (!next || !current || next.dataset.version === current.dataset.version) return
  const focused = document.activeElement && document.activeElement.id
  const typed = [...current.querySelectorAll('input[id]')].map(({ id, value }) => [id, value])
  current.replaceWith(document.adoptNode(next))
  document.title = page.title
  for (const [id, value] of typed) {
    const input = document.getElementById(id)
    if (input) input.value = value
  }
  const again = focused && document.getElementById(focused)
  if (again) again.focus()
}

async function follow() {
  for (;;) {
    try {
      const { path, version } = area().dataset
      const response = await fetch(path + '?after=' + version)
      if (!response.ok) throw new Error(String(response.status))
      show(new DOMParser().parseFromString(await response.text(), 'text/html'))
    } catch {
      await new Promise(resolve => setTimeout(resolve, 1000))
    }
  }
}

setInterval(() => {
  for (const bar of document.querySelectorAll('progress[data-seconds]')) {
    const left = Math.max(0, bar.value - 1)
    bar.value = left
    const words = bar.parentElement.querySelector('[data-left]')
    if (words) words.textContent = left + ' s left'
  }
}, 1000)

if (area()) {
  history.replaceState(null, '', area().dataset.path)
  follow()
}
`
