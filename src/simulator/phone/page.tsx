import type { ComponentChildren, VNode } from 'preact'
import type { Milliseconds } from '../../clock.ts'
import { maskedNumber, type SimulatedDevice } from '../users.ts'

/**
 * @param news where a page that changes asks for its next version. Without a script it is loaded anew: a navigation that is held until there
 * are news would make Chromium's automation wait for it before each click.
 * @param typing whether a person may be in the middle of typing: then the page is not loaded anew under the hands
 */
export function Page({
  title,
  news,
  typing = false,
  children,
}: {
  title: string
  news?: string
  typing?: boolean
  children: ComponentChildren
}): VNode {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${title} · Duo simulator`}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="/phone.css" />
        {news && !typing && (
          <noscript>
            <meta http-equiv="refresh" content={`2; url=${news}`} />
          </noscript>
        )}
        {news && <script src="/phone.js" defer />}
      </head>
      <body>
        <header class="label">
          <strong>Simulator.</strong> This is not Duo: whoever opens this page can approve.
        </header>
        {children}
      </body>
    </html>
  )
}

export function ProblemPage({ words }: { words: string }) {
  return (
    <Page title="Problem">
      <main class="list">
        <h1>That did not work</h1>
        <p class="notice">{words}</p>
        <p>
          <a href="/">All phones</a>
        </p>
      </main>
    </Page>
  )
}

export const nameOf = (device: SimulatedDevice) =>
  device.name || (device.type === 'token' ? 'Hardware token' : device.platform) || device.id

/** What tells a device from the others, beside its name. */
export const traitsOf = (device: SimulatedDevice) =>
  device.type === 'token'
    ? [device.id]
    : [device.name === '' ? '' : device.platform, maskedNumber(device.number)].filter(Boolean)

/** Hours, minutes in the zone of this machine. */
export function clockTime(time: Milliseconds): string {
  return new Date(time).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
}

export function shortened(text: string, length: number): string {
  const characters = [...text]
  return characters.length > length ? `${characters.slice(0, length - 1).join('')}…` : text
}

const icons = {
  phone: 'M8 2h8a2 2 0 0 1 2 2v16a2 2 0 0 1-2 2H8a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2Zm3 17h2',
  tablet: 'M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2Zm6 15h2',
  key: 'M15 9a4 4 0 1 0-3.9 4L13 15h2v2h2v2h3v-3l-5.2-5.2A4 4 0 0 0 15 9ZM9.5 8.5h.01',
  next: 'm9 5 7 7-7 7',
  back: 'm15 5-7 7 7 7',
  shield: 'M12 3 5 6v5c0 4.5 2.9 8.3 7 10 4.1-1.7 7-5.5 7-10V6l-7-3Zm-3 9 2.2 2.2L15.5 10',
  call: 'M6 3h3l2 5-2.5 1.5a11 11 0 0 0 6 6L16 13l5 2v3a3 3 0 0 1-3 3A15 15 0 0 1 3 6a3 3 0 0 1 3-3Z',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  cross: 'M6.5 6.5l11 11m0-11-11 11',
  flag: 'M6 21V4h11l-2 4 2 4H6',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 4.5V12l3 2',
  refresh: 'M20 11a8 8 0 0 0-14.5-3.700L4 9m0-5v5h5m-5 4a8 8 0 0 0 14.5 3.700L20 15m0 5v-5h-5',
  message: 'M4 5h16v11H10l-5 4v-4H4Z',
  signal: 'M5 18v-3m5 3v-6m5 6V9m5 9V6',
  battery: 'M3 8h15v8H3Zm18 3v2M6 11v2m3-2v2m3-2v2',
} as const
export type IconName = keyof typeof icons

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={icons[name]} />
    </svg>
  )
}
