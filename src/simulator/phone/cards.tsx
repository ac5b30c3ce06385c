import type { ComponentChildren } from 'preact'
import type { Milliseconds } from '../../clock.ts'
import type { Push, PushAnswer } from '../push.ts'
import { Icon, shortened } from './page.tsx'

const action = (push: Push) => `/phones/${push.device.id}/pushes/${push.id}`

/** A push, as the app shows it. */
export function PushCard({ push, application, now }: { push: Push; application: string; now: Milliseconds }) {
  const addressIsShown = push.pushinfo.some(([, value]) => value === push.ipaddr)
  return (
    <article class="request" aria-labelledby={`${push.id}-title`}>
      <p class="kind">
        <Icon name="shield" />
        {`${push.type} request`}
      </p>
      <h2 id={`${push.id}-title`}>
        Are you logging in to <b>{application}</b>?
      </h2>
      <dl>
        <Detail name="Account" value={push.displayUsername} />
        {push.pushinfo.map(([name, value], index) => (
          <Detail key={index} name={name} value={value} />
        ))}
        {push.ipaddr !== undefined && !addressIsShown && <Detail name="Address" value={push.ipaddr} />}
      </dl>
      <form method="post" action={action(push)} class="answers" autocomplete="off">
        {push.verificationCode !== undefined && <CodeEntry push={push} length={push.verificationCode.length} />}
        <TimeLeft push={push} now={now} />
        <Answer push={push} answer="approve" look="approve">
          <Icon name="check" />
          Approve
        </Answer>
        <Answer push={push} answer="deny" look="deny">
          <Icon name="cross" />
          Deny
        </Answer>
        <Answer push={push} answer="fraud" look="fraud">
          It wasn't me
        </Answer>
      </form>
    </article>
  )
}

/** Verified Push: the code that stands on the person's screen. */
function CodeEntry({ push, length }: { push: Push; length: number }) {
  const wrong = push.wrongCodes > 0
  return (
    <div class="code-entry">
      <label for={`${push.id}-code`}>Enter the code that your screen shows</label>
      <input
        id={`${push.id}-code`}
        class="code"
        name="code"
        inputmode="numeric"
        pattern="[0-9]*"
        size={length}
        maxlength={length}
        required
        aria-invalid={wrong}
        aria-describedby={wrong ? `${push.id}-wrong` : undefined}
      />
      {wrong && (
        <p class="wrong" id={`${push.id}-wrong`} role="alert">
          That is not the code on your screen. {push.wrongCodes === 1 ? 'Two tries are left.' : 'One try is left.'}
        </p>
      )}
    </div>
  )
}

/** A call that rings, or one that was picked up. */
export function CallCard({ push, application, now }: { push: Push; application: string; now: Milliseconds }) {
  return (
    <article class="call" aria-labelledby={`${push.id}-title`}>
      <div class={push.pickedUp ? 'caller' : 'caller ringing'}>
        <Icon name="call" />
      </div>
      <h2 id={`${push.id}-title`}>{push.pickedUp ? 'On the phone with Duo' : 'Duo is calling'}</h2>
      <p class="call-words">
        {push.pickedUp ? (
          <>
            “Press # to log in to <b>{application}</b> as {shortened(push.displayUsername, 60)}. If this wasn't you,
            press *.”
          </>
        ) : (
          <>Incoming call, for {shortened(push.displayUsername, 60)}</>
        )}
      </p>
      <form method="post" action={action(push)} class="answers">
        <TimeLeft push={push} now={now} />
        <Answer push={push} answer="deny" look="hang-up">
          <Icon name="call" />
          Hang up
        </Answer>
        {push.pickedUp ? (
          <Answer push={push} answer="approve" look="pick-up">
            <span class="key" aria-hidden="true">
              #
            </span>
            Press #
          </Answer>
        ) : (
          <Answer push={push} answer="pick-up" look="pick-up">
            <Icon name="call" />
            Answer
          </Answer>
        )}
        {push.pickedUp && (
          <Answer push={push} answer="fraud" look="fraud">
            It wasn't me
          </Answer>
        )}
      </form>
    </article>
  )
}

function Answer({
  push,
  answer,
  look,
  children,
}: {
  push: Push
  answer: PushAnswer
  look: string
  children: ComponentChildren
}) {
  return (
    <button
      type="submit"
      id={`${push.id}-${answer}`}
      class={look}
      name="answer"
      value={answer}
      formnovalidate={answer !== 'approve'}
    >
      {children}
    </button>
  )
}

function TimeLeft({ push, now }: { push: Push; now: Milliseconds }) {
  const left = Math.max(0, Math.ceil((push.deadline - now) / 1000))
  return (
    <div class="left">
      <progress data-seconds value={left} max={Math.ceil((push.deadline - push.sentAt) / 1000)} aria-hidden="true" />
      <span class="quiet" data-left>
        {left} s left
      </span>
    </div>
  )
}

function Detail({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{shortened(name, 60)}</dt>
      <dd>
        {shortened(value, 300)
          .split(/(?<=[/.])/)
          .map((part, index) => [index > 0 && <wbr />, part])}
      </dd>
    </div>
  )
}
