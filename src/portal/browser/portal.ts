// Quickens pages that work without it. It builds no HTML and holds no words: those come in data attributes, or from the server.

const root = document.documentElement
root.dataset.script = ''
const all = <T extends HTMLElement>(selector: string) => [...document.querySelectorAll<T>(selector)]
const one = <T extends HTMLElement>(selector: string) => document.querySelector<T>(selector)
const live = one('[role=status]')
const say = (words: string | undefined) => {
  if (live && words !== undefined && live.textContent !== words) live.textContent = words
}
const sleep = (seconds: number) => new Promise(resolve => setTimeout(resolve, seconds * 1000))

// A page that the back button restored may show a state that is past.
addEventListener('pageshow', event => {
  if (event.persisted) location.reload()
})

function localiseTimes() {
  let next = 0
  for (const time of all<HTMLTimeElement>('time[datetime]')) {
    const at = new Date(time.dateTime)
    const language = root.lang
    if (time.dataset.as === 'left') {
      const seconds = Math.max(0, Math.ceil((at.getTime() - Date.now()) / 1000))
      const [unit, amount] =
        seconds > 120 ? (['minute', Math.ceil(seconds / 60)] as const) : (['second', seconds] as const)
      time.textContent = new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(amount)
      next = seconds > 120 ? 60_000 : 5_000
    } else
      time.textContent = new Intl.DateTimeFormat(
        language,
        time.dataset.as === 'both'
          ? { dateStyle: 'medium', timeStyle: 'long' }
          : time.dataset.as === 'when'
            ? {
                ...(at.getFullYear() === new Date().getFullYear() ? {} : { year: 'numeric' as const }),
                month: 'short',
                day: 'numeric',
                hour: 'numeric',
                minute: '2-digit',
              }
            : { hour: 'numeric', minute: '2-digit' },
      ).format(at)
  }
  if (next > 0) setTimeout(localiseTimes, next)
}
localiseTimes()

for (const form of all<HTMLFormElement>('form'))
  form.addEventListener('submit', event => {
    if (form.dataset.sent !== undefined) return event.preventDefault()
    form.dataset.sent = ''
    for (const field of form.querySelectorAll<HTMLInputElement>('input[name=password]')) field.type = 'password'
    const button = event.submitter
    if (!(button instanceof HTMLElement) || button.dataset.busy === undefined) return
    button.setAttribute('aria-disabled', 'true')
    button.textContent = button.dataset.busy
  })

for (const button of all<HTMLButtonElement>('[data-reveal]')) {
  const field = one<HTMLInputElement>(`#${button.dataset.reveal}`)
  if (!field) continue
  const show = button.textContent
  button.hidden = false
  button.addEventListener('click', () => {
    const shown = field.type === 'password'
    field.type = shown ? 'text' : 'password'
    button.textContent = shown ? (button.dataset.hide ?? '') : show
    button.setAttribute('aria-pressed', String(shown))
  })
}

const caps = one('[data-caps]')
if (caps)
  for (const kind of ['keydown', 'keyup'] as const)
    one('#password')?.addEventListener(kind, event => {
      say(event.getModifierState('CapsLock') ? (caps.dataset.caps ?? '') : '')
    })

// One fact a line.
const lines = () =>
  all('[data-lines] > div')
    .map(fact => [...fact.children].map(part => part.textContent).join(': '))
    .join('\n')
for (const tools of all('[data-script-only]')) tools.hidden = false
for (const button of all('[data-copy]'))
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(lines())
    say(button.dataset.done)
  })
for (const button of all('[data-copy-code]'))
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.dataset.copyCode ?? '')
    button.textContent = button.dataset.done ?? ''
  })
for (const button of all('[data-print]')) button.addEventListener('click', () => print())

interface Answer {
  seq: number
  over: boolean
  next: string
  left: number
  words: string
  said: string
  title: string
  icon: string
}

const waiting = one('[data-poll]')
let again = new AbortController()

function countDown(element: HTMLElement) {
  const seconds = one('[data-seconds]')
  const total = Number(element.dataset.left)
  const end = performance.now() + total * 1000
  const step = matchMedia('(prefers-reduced-motion:reduce)').matches ? 5 : 1
  const spoken: [number, string | undefined][] = [
    [15, element.dataset.live15],
    [30, element.dataset.live30],
  ]
  let due = spoken.filter(([at]) => at < total)
  say(one('[data-initial]')?.dataset.initial)
  const tick = () => {
    const rest = Math.max(0, end - performance.now())
    const left = Math.ceil(rest / 1000)
    if (seconds) seconds.textContent = String(Math.ceil(left / step) * step)
    const now = due.find(([at]) => left <= at)
    if (now) {
      due = due.filter(([at]) => at < left)
      say(now[1])
    }
    if (rest > 0) setTimeout(tick, rest % 1000 || 1000)
  }
  tick()
}

async function follow(element: HTMLElement) {
  const lost = one('[data-alert]')
  let after = element.dataset.after ?? '0'
  let pause = 0.5
  for (;;) {
    try {
      const url = new URL(element.dataset.poll ?? '', location.href)
      url.searchParams.set('after', after)
      const response = await fetch(url, { signal: again.signal, cache: 'no-store' })
      if (response.status >= 400 && response.status < 500 && response.status !== 429) return location.replace('/')
      if (!response.ok) throw new Error()
      const answer: Answer = await response.json()
      pause = 0.5
      if (lost) lost.textContent = ''
      if (answer.over) return location.replace(answer.next)
      after = String(answer.seq)
      document.title = answer.title
      one<HTMLLinkElement>('link[rel=icon]')?.setAttribute('href', answer.icon)
      const said = one('[data-said-text]')
      if (said) said.textContent = answer.said
      const line = one('[data-said]')
      if (line) line.hidden = answer.said === ''
    } catch {
      if (again.signal.aborted) again = new AbortController()
      else {
        if (lost) lost.textContent = element.dataset.lost ?? ''
        pause = Math.min(8, pause * 2)
        await sleep(pause)
      }
    }
  }
}

if (waiting) {
  countDown(waiting)
  void follow(waiting)
  addEventListener('online', () => again.abort())
}

// Each tab follows its own way on: it only learns that something changed.
if ('BroadcastChannel' in window) {
  const tabs = new BroadcastChannel('postern')
  const level = Number(root.dataset.level)
  tabs.postMessage({ level })
  tabs.onmessage = ({ data }) => {
    if (!(data?.level > level)) return
    if (waiting) again.abort()
    else if (/^(signin|choose)/.test(root.dataset.page ?? '')) location.reload()
  }
}

// Back from Duo's own pages, whoever has a device by now goes on.
if (/^enrol/.test(root.dataset.page ?? ''))
  addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') location.reload()
  })

const retry = one('[data-again]')
if (retry?.dataset.again) {
  setTimeout(() => say(retry.dataset.words), (Number(retry.dataset.again) - 1) * 1000)
  setTimeout(() => location.reload(), Number(retry.dataset.again) * 1000)
}

export {}
