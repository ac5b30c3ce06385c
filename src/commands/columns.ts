import { printable } from '../config/problem.ts'

/** Rows of text as lines with their columns below each other, the first row as a heading. No control character reaches the terminal. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const clean = rows.map(row => row.map(printable))
  const widths = clean[0]?.map((_, column) => Math.max(...clean.map(row => row[column]?.length ?? 0))) ?? []
  return clean.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
