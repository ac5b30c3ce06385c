import type { Subject } from './access.ts'

/** Whether this person is meant. */
export type Who = (subject: Subject) => boolean

/**
 * Upper and lower case of ASCII alike, and nothing else: by Unicode the Kelvin sign K is a k, and a name with it would be another person's.
 */
function foldAscii(text: string): string {
  return text.replace(/[A-Z]+/g, letters => letters.toLowerCase())
}

export function hasName(subject: Subject, name: string): boolean {
  return foldAscii(subject.username) === foldAscii(name)
}

export function isMember(subject: Subject, group: string): boolean {
  const folded = foldAscii(group)
  return subject.groups.some(one => foldAscii(one) === folded)
}
