/**
 * Node cuts a long list of headers without a word, so that the ones a proxy adds last would be missing (measured: at 1,000).
 * A browser sends fewer than 50.
 */
export const HEADER_LINES_AT_MOST = 200

/**
 * All values of one header, each line apart, in the order in which they came. `rawHeaders` is Node's flat list of names and values;
 * Node's own `headers` joins or drops doubled lines, which hides a contradiction.
 * @param name lower case
 */
export function headerLines(rawHeaders: readonly string[], name: string): string[] {
  const lines: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const key = rawHeaders[i] as string
    if (key.length === name.length && key.toLowerCase() === name) lines.push(rawHeaders[i + 1] as string)
  }
  return lines
}

/** The one value of a header; undefined when it is missing, `'doubled'` as a symbol when it came more than once. */
export const doubled = Symbol('doubled')
export function singleHeader(rawHeaders: readonly string[], name: string): string | undefined | typeof doubled {
  const lines = headerLines(rawHeaders, name)
  return lines.length > 1 ? doubled : lines[0]
}
