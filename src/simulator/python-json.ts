/**
 * JSON as Duo's servers write it: keys sorted, `", "` and `": "` between, everything outside ASCII escaped. Clients compare
 * Content-Length with it in their recorded examples.
 */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, field]) => field !== undefined)
    entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    return `{${entries.map(([key, field]) => `${ascii(JSON.stringify(key))}: ${pythonJson(field)}`).join(', ')}}`
  }
  return ascii(JSON.stringify(value ?? null))
}

const ascii = (text: string) =>
  text.replace(/[^ -~]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
