import { type Colours, dark, light } from './tokens.ts'

type Triple = readonly [number, number, number]

function channels(hex: string): Triple {
  const value = Number.parseInt(hex.slice(1), 16)
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255]
}

const linear = (channel: number) => {
  const part = channel / 255
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
}

function luminance(hex: string): number {
  const [red, green, blue] = channels(hex)
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

/** WCAG 2.2, "contrast ratio": 1 to 21. @param one `#rrggbb` */
export function contrast(one: string, other: string): number {
  const [a, b] = [luminance(one), luminance(other)]
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
}

interface Oklch {
  readonly lightness: number
  readonly chroma: number
  /** In radians. */
  readonly hue: number
}

// Björn Ottosson's OKLab matrices (https://bottosson.github.io/posts/oklab/).
export function toOklch(hex: string): Oklch {
  const [r, g, b8] = channels(hex)
  const [red, green, blue] = [linear(r), linear(g), linear(b8)]
  const l = Math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
  const m = Math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
  const s = Math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
  const a = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s
  const b = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s
  return {
    lightness: 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    chroma: Math.hypot(a, b),
    hue: Math.atan2(b, a),
  }
}

function toLinear({ lightness, chroma, hue }: Oklch): Triple {
  const a = chroma * Math.cos(hue)
  const b = chroma * Math.sin(hue)
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ]
}

const TOLERANCE = 0.0005
const isShown = (colour: Oklch) => toLinear(colour).every(part => part > -TOLERANCE && part < 1 + TOLERANCE)

/** As `#RRGGBB`. Beyond what sRGB can show, chroma gives way and the hue stays. */
export function fromOklch(colour: Oklch): string {
  let [inside, outside] = [0, colour.chroma]
  if (isShown(colour)) inside = outside
  while (outside - inside > 0.0005) {
    const middle = (inside + outside) / 2
    if (isShown({ ...colour, chroma: middle })) inside = middle
    else outside = middle
  }
  const hex = toLinear({ ...colour, chroma: inside }).map(part => {
    const clipped = Math.min(1, Math.max(0, part))
    const channel = clipped <= 0.0031308 ? clipped * 12.92 : 1.055 * clipped ** (1 / 2.4) - 0.055
    return Math.round(channel * 255)
      .toString(16)
      .padStart(2, '0')
  })
  return `#${hex.join('')}`.toUpperCase()
}

const STEP = 0.002
const READABLE = 4.5
// The accent is text too (links), and links stand on every ground that a page has.
const grounds = ['card', 'ground', 'sunken', 'danger-ground', 'warn-ground', 'ok-ground', 'info-ground'] as const

/** The theme with another accent: hue and chroma stay, lightness walks until it can be read everywhere. @param accent `#rrggbb` */
export function withAccent(theme: Colours, accent: string): Colours {
  const darker = luminance(theme.card) > 0.5
  const start = toOklch(accent)
  const readable = (hex: string) => grounds.every(ground => contrast(hex, theme[ground]) >= READABLE)
  let hex = accent.toUpperCase()
  for (let lightness = start.lightness; !readable(hex) && lightness >= 0 && lightness <= 1; ) {
    lightness += darker ? -STEP : STEP
    hex = fromOklch({ ...start, lightness: Math.min(1, Math.max(0, lightness)) })
  }
  const found = toOklch(hex)
  const strong = fromOklch({ ...found, lightness: Math.min(1, Math.max(0, found.lightness + (darker ? -0.07 : 0.06))) })
  const onAccent = ['#FFFFFF', darker ? theme.ink : theme['on-accent'], '#000000'].reduce((best, next) =>
    Math.min(contrast(next, hex), contrast(next, strong)) > Math.min(contrast(best, hex), contrast(best, strong))
      ? next
      : best,
  )
  return { ...theme, accent: hex, strong, 'on-accent': onAccent, link: hex }
}

/** Both themes as they are shown. */
export function themes(accent: string | undefined): { light: Colours; dark: Colours } {
  if (accent === undefined) return { light, dark }
  return { light: withAccent(light, accent), dark: withAccent(dark, accent) }
}
