import { IntlMessageFormat } from 'intl-messageformat'
import type { ComponentChildren, VNode } from 'preact'
import { h } from 'preact'
import english from './en.json' with { type: 'json' }

/** A page's id and a slot: `wait.push.h1`. A key that en.json has not does not compile. */
export type WordKey = keyof typeof english

type Argument = string | number | VNode
/** `link` wraps what stands between `<link>` and `</link>` in a message. */
type Wrap = (children: ComponentChildren) => VNode

export interface Words {
  readonly language: string
  /** Plain text: for a title, an attribute or the script. */
  text(key: WordKey, values?: Record<string, string | number>): string
  /** With markup (`<b>`, `<code>`, `<link>`) and elements as arguments. Strings stay text: they are escaped when the page is rendered. */
  rich(key: WordKey, values?: Record<string, Argument>, link?: Wrap): ComponentChildren
  /** `5 minutes`, in the largest unit that leaves no rest. @param span milliseconds */
  duration(span: number): string
  /** `14:05 UTC`, in the server's zone; the script turns it into the browser's. */
  time(at: number): string
  dateTime(at: number): string
  /** `Nov 24, 14:05 UTC`; with the year where that is another than `now`'s. */
  when(at: number, now: number): string
  list(items: readonly string[]): string
}

const units = [
  ['week', 7 * 86_400_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const

/** Parses all messages of one language, once. */
export function createWords(language = 'en', messages: Record<WordKey, string> = english): Words {
  const entries = Object.entries(messages).map(
    ([key, message]) => [key, new IntlMessageFormat(message, language)] as const,
  )
  const formats = new Map<string, IntlMessageFormat>(entries)
  const formatOf = (key: WordKey) => {
    const format = formats.get(key)
    if (format === undefined) throw new Error(`no words for ${key}`)
    return format
  }
  const timeFormat = new Intl.DateTimeFormat(language, {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'short',
  })
  const dayAndTime = {
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'short',
  } as const
  const whenFormat = new Intl.DateTimeFormat(language, dayAndTime)
  const whenFormatWithYear = new Intl.DateTimeFormat(language, { ...dayAndTime, year: 'numeric' })
  const dateTimeFormat = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'long', hourCycle: 'h23' })
  const listFormat = new Intl.ListFormat(language, { type: 'conjunction' })
  const plain = (parts: readonly string[]) => parts.join('')
  const tags = { b: plain, code: plain, link: plain }
  return {
    language,
    text: (key, values) => String(formatOf(key).format({ ...tags, ...values })),
    rich(key, values, link) {
      const wrap = (tag: 'b' | 'code') => (parts: ComponentChildren[]) => h(tag, null, ...parts)
      return formatOf(key).format<ComponentChildren>({
        b: wrap('b'),
        code: wrap('code'),
        link: (parts: ComponentChildren[]) => (link ? link(parts) : h('span', null, ...parts)),
        ...values,
      }) as ComponentChildren
    },
    duration(span) {
      const [unit, size] = units.find(([, length]) => span >= length && span % length === 0) ?? units[4]
      const amount = Math.max(1, Math.ceil(span / size))
      return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' })
        .format(amount)
        .replaceAll(' ', '\u00A0') // the number stays with its unit
    },
    time: at => timeFormat.format(at),
    when: (at, now) =>
      (new Date(at).getFullYear() === new Date(now).getFullYear() ? whenFormat : whenFormatWithYear).format(at),
    dateTime: at => dateTimeFormat.format(at),
    list: items => listFormat.format(items),
  }
}
