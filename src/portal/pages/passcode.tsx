import type { VNode } from 'preact'
import type { Device } from '../../duo/duo.ts'
import { DeviceName, RememberBox } from './choose.tsx'
import { Actions, Button, Form, Heading, LinkButton, Notice, Time } from './parts.tsx'
import type { Shell, View } from './view.ts'

/** What the page for a passcode has to say above its form. */
export type PasscodeNews =
  /** `nextCode`: the character that the newest begins with. */
  | { readonly kind: 'sms-sent'; readonly device: Device | null; readonly nextCode: string | null }
  | { readonly kind: 'sms-wait'; readonly until: number }
  | { readonly kind: 'passcode-empty' | 'passcode-malformed' }
  | { readonly kind: 'passcode-wrong'; readonly triesLeft: number | null }

function faultOf(shell: Shell, news: PasscodeNews | undefined): string | null {
  const { words } = shell
  switch (news?.kind) {
    case 'passcode-empty':
      return words.text('passcode.empty')
    case 'passcode-malformed':
      return words.text('passcode.malformed')
    case 'passcode-wrong':
      return words.text('passcode.wrong')
    default:
      return null
  }
}

function NewsOfTexts({ shell, news }: { shell: Shell; news: PasscodeNews | undefined }): VNode | null {
  const { words } = shell
  if (news?.kind === 'sms-sent')
    return (
      <Notice kind="ok" focus={false}>
        <p id="news">
          {news.device === null
            ? words.text('passcode.sent-somewhere')
            : words.rich('passcode.sent', { device: <DeviceName shell={shell} device={news.device} /> })}
          {news.nextCode !== null && ' '}
          {news.nextCode !== null &&
            words.rich('passcode.begins', {
              digit: (
                <b class="notranslate" dir="ltr">
                  {news.nextCode}
                </b>
              ),
            })}
        </p>
      </Notice>
    )
  if (news?.kind === 'sms-wait')
    return (
      <Notice kind="info" focus={false}>
        <p id="news">
          {words.rich('passcode.wait', {
            time: <Time shell={shell} at={news.until} as="time" />,
            left: <Time shell={shell} at={news.until} as="left" />,
          })}
        </p>
      </Notice>
    )
  return null
}

/** `passcode`. @param phones those to which Duo can text new passcodes */
export function passcodePage(shell: Shell, news: PasscodeNews | undefined, phones: readonly Device[]): View {
  const { words } = shell
  const fault = faultOf(shell, news)
  const told = news?.kind === 'sms-sent' || news?.kind === 'sms-wait'
  const left = news?.kind === 'passcode-wrong' ? news.triesLeft : null
  const described = [told && 'news', fault !== null && 'passcode-error', 'passcode-hint'].filter(Boolean).join(' ')
  return {
    id: news === undefined ? 'passcode' : `passcode.${news.kind.replace(/^passcode-/, '')}`,
    status: 200,
    title: 'passcode.title',
    error: fault !== null,
    icon: 'door',
    body: (
      <>
        {fault !== null && (
          <Notice kind="danger" heading={words.text('common.problem')}>
            <ul class="faults">
              <li>
                <a href="#passcode">{fault}</a>
              </li>
            </ul>
            {left !== null && left <= 2 && (
              <p>
                {words.text('passcode.left', { n: left, duration: words.duration(shell.config.regulation.ban_time) })}
              </p>
            )}
          </Notice>
        )}
        <NewsOfTexts shell={shell} news={news} />
        <Heading shell={shell} word="passcode.h1" />
        <Form shell={shell} action="/prove/passcode">
          <input type="text" name="username" value={shell.username ?? ''} autocomplete="username" hidden readonly />
          <div class={fault === null ? 'field' : 'field wrong'}>
            <label for="passcode">{words.text('passcode.label')}</label>
            <p class="hint" id="passcode-hint">
              {words.text('passcode.hint')}
            </p>
            {fault !== null && (
              <p class="field-error" id="passcode-error">
                {fault}
              </p>
            )}
            <div class="input">
              <input
                type="text"
                id="passcode"
                name="passcode"
                class="passcode"
                inputMode="numeric"
                autocomplete="one-time-code"
                autocapitalize="none"
                autocorrect="off"
                spellcheck={false}
                required
                dir="ltr"
                aria-describedby={described}
                {...(fault === null ? { autofocus: true } : { 'aria-invalid': true })}
              />
            </div>
          </div>
          <RememberBox shell={shell} />
          <Button kind="primary" busy={words.text('passcode.busy')}>
            {words.text('common.continue')}
          </Button>
        </Form>
        <Actions>
          {phones.map(phone => (
            <Form key={phone.id} shell={shell} action="/prove" extra={{ way: `sms:${phone.id}` }}>
              <Button kind="second" busy={words.text('choose.busy')}>
                {phones.length === 1
                  ? words.text('passcode.text-me')
                  : words.rich('passcode.text-to', { device: <DeviceName shell={shell} device={phone} /> })}
              </Button>
            </Form>
          ))}
          <LinkButton kind="second" href={shell.url('/prove', { another: '' })}>
            {words.text('common.another-way')}
          </LinkButton>
        </Actions>
      </>
    ),
  }
}
