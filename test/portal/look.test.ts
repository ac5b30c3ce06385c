import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contrast, fromOklch, themes, toOklch, withAccent } from '../../src/portal/look/colour.ts'
import { type Colours, dark, light } from '../../src/portal/look/tokens.ts'

// WCAG 2.2: 7 for what is read (AAA), 4.5 for what is second in rank, 3 for what only has to be seen.
const wanted: readonly [keyof Colours, keyof Colours, number][] = [
  ['ink', 'card', 7],
  ['ink', 'ground', 7],
  ['ink', 'sunken', 7],
  ['ink', 'danger-ground', 7],
  ['ink', 'warn-ground', 7],
  ['ink', 'ok-ground', 7],
  ['ink', 'info-ground', 7],
  ['quiet', 'card', 4.5],
  ['quiet', 'ground', 4.5],
  ['quiet', 'sunken', 4.5],
  ['edge', 'card', 3],
  ['edge', 'ground', 3],
  ['on-accent', 'accent', 4.5],
  ['on-accent', 'strong', 4.5],
  ['accent', 'card', 3],
  ['accent', 'track', 3],
  ['link', 'card', 4.5],
  ['link', 'ground', 4.5],
  ['link', 'sunken', 4.5],
  ['link', 'info-ground', 4.5],
  ['link', 'warn-ground', 4.5],
  ['strong', 'card', 4.5],
  ['focus', 'card', 3],
  ['focus', 'ground', 3],
  ['danger', 'danger-ground', 4.5],
  ['danger', 'card', 4.5],
  ['warn', 'warn-ground', 4.5],
  ['warn', 'card', 4.5],
  ['ok', 'ok-ground', 4.5],
]

describe(contrast, () => {
  it('is 21 between black and white, and 1 of a colour with itself', () => {
    expect(contrast('#000000', '#FFFFFF')).toBeCloseTo(21)
    expect(contrast('#123456', '#123456')).toBe(1)
  })

  it.each(Object.entries({ light, dark }))('of every pair of the %s theme is enough', (_name, theme) => {
    for (const [one, other, least] of wanted)
      expect(contrast(theme[one], theme[other]), `${one} on ${other}`).toBeGreaterThanOrEqual(least)
  })
})

const colour = fc.integer({ min: 0, max: 0xffffff }).map(value => `#${value.toString(16).padStart(6, '0')}`)

describe(withAccent, () => {
  it('makes any colour readable on both themes', () => {
    fc.assert(
      fc.property(colour, accent => {
        for (const theme of [light, dark]) {
          const made = withAccent(theme, accent)
          for (const ground of ['card', 'ground', 'sunken', 'danger-ground', 'warn-ground', 'info-ground'] as const)
            expect(contrast(made.link, made[ground]), `${accent}: ${made.link} on ${ground}`).toBeGreaterThanOrEqual(
              4.5,
            )
          expect(contrast(made['on-accent'], made.accent), `text on ${made.accent}`).toBeGreaterThanOrEqual(4.5)
          expect(contrast(made['on-accent'], made.strong), `text on ${made.strong}`).toBeGreaterThanOrEqual(4.5)
          expect(contrast(made.strong, made.card), `hovered link ${made.strong}`).toBeGreaterThanOrEqual(4.5)
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('keeps the hue of yellow, and leaves it as it is where it can be read', () => {
    const { light: inLight, dark: inDark } = themes('#FFD400')
    expect(inLight.accent).toBe('#826B00')
    expect(inDark.accent).toBe('#FFD400')
    expect(toOklch(inLight.accent).hue).toBeCloseTo(toOklch('#FFD400').hue, 1)
  })

  it('leaves the themes as they are without an accent', () => {
    expect(themes(undefined)).toEqual({ light, dark })
  })
})

describe(fromOklch, () => {
  it('gives back the colour that toOklch took', () => {
    fc.assert(fc.property(colour, hex => void expect(fromOklch(toOklch(hex))).toBe(hex.toUpperCase())))
  })
})
