import type { VNode } from 'preact'

// The arched door: a gate, and the small door in it that is open. Drawn on 32 by 32.
const gate = 'M3 30V15a13 13 0 0 1 26 0v15z'
const door = 'M14 30V19.5a5 5 0 0 1 10 0V30z'

/** The mark of the header. Its colours come from the stylesheet. */
export function Mark(): VNode {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true" focusable="false">
      <path class="gate" d={gate} />
      <path class="door" d={door} />
      <circle class="knob" cx="16.8" cy="24.5" r="1.2" />
    </svg>
  )
}

const strokes = {
  phone: 'M8.5 2.5h7a2 2 0 0 1 2 2v15a2 2 0 0 1-2 2h-7a2 2 0 0 1-2-2v-15a2 2 0 0 1 2-2zM10.5 18.5h3',
  key: 'M7.5 19.5a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM10.5 12.7l8.2-8.2M15.5 7.7l3 3',
  call: 'M6.6 3.5h2.9l1.6 4.3-2 1.5a11.5 11.5 0 0 0 5.6 5.6l1.5-2 4.3 1.6v2.9a2.1 2.1 0 0 1-2.3 2.1A16.6 16.6 0 0 1 4.5 5.8a2.1 2.1 0 0 1 2.1-2.3z',
  text: 'M4.5 4.5h15a1.5 1.5 0 0 1 1.5 1.5v9.5a1.5 1.5 0 0 1-1.5 1.5H11l-4.5 4v-4h-2A1.5 1.5 0 0 1 3 15.5V6a1.5 1.5 0 0 1 1.5-1.5zM8 10.8h.1M12 10.8h.1M16 10.8h.1',
  tick: 'M4.5 12.5l5 5 10-11',
  bar: 'M12 5v9M12 18.5v.5',
  chevron: 'M9 5.5l6.5 6.5L9 18.5',
} as const

/** A small sign beside words that say the same: hidden from screen readers. */
export function Icon({ name }: { name: keyof typeof strokes }): VNode {
  return (
    <svg class={`icon ${name}`} viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">
      <path d={strokes[name]} />
    </svg>
  )
}

export const favicons = ['door', 'waiting', 'approved', 'attention'] as const
export type Favicon = (typeof favicons)[number]

// One green that stands on light and dark tabs alike: a media query inside would not follow the browser's own theme everywhere.
const shapes: Record<Favicon, string> = {
  door: `<path fill="#1C8F78" d="${gate}"/><path fill="#fff" d="${door}"/>`,
  waiting: `<path fill="#1C8F78" d="${gate}"/><path fill="#fff" d="${door}"/><circle cx="25" cy="7" r="6.5" fill="#E8A317" stroke="#fff" stroke-width="1.5"/>`,
  approved: `<path fill="#1C8F78" d="${gate}"/><path fill="none" stroke="#fff" stroke-width="3.4" stroke-linecap="round" stroke-linejoin="round" d="M10 18.5l4.5 4.5 8-10"/>`,
  attention: `<path fill="#B3261E" d="${gate}"/><path fill="none" stroke="#fff" stroke-width="3.6" stroke-linecap="round" d="M16 10.5v9M16 25.2v.1"/>`,
}

/** An SVG file. */
export function faviconFile(name: Favicon): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${shapes[name]}</svg>`
}
