import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'

/** Why there is no answer, for whoever was asked. */
export class Refused extends Error {
  readonly code: number
  constructor(message: string, code = 1) {
    super(message)
    this.code = code
  }
}

interface Question {
  /** `password`: what messages call it. */
  readonly noun: string
  /** Of UTF-8. */
  readonly bytesAtMost: number
}

/** A secret that is typed twice on a terminal, without echo; otherwise one line of standard input. @throws {Refused} */
export function askSecret(question: Question): Promise<string> {
  return process.stdin.isTTY ? askTwice(question) : readLine(question)
}

async function askTwice({ noun }: Question): Promise<string> {
  const first = await ask(`${capital(noun)}: `, noun)
  if (first === '') return first
  if ((await ask('Again: ', noun)) !== first) throw new Refused('The two are not the same.')
  return first
}

/** The prompt goes to standard error, so that standard output is the hash alone. */
function ask(prompt: string, noun: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const line = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 })
  process.stderr.write(prompt)
  return new Promise<string>((resolve, reject) => {
    line.once('line', resolve)
    line.once('SIGINT', () => reject(new Refused('', 130)))
    line.once('close', () => reject(new Refused(`No ${noun} was given.`)))
  }).finally(() => {
    process.stderr.write('\n')
    line.close()
  })
}

async function readLine({ noun, bytesAtMost }: Question): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    chunks.push(bytes)
    length += bytes.length
    if (length > bytesAtMost + 2) throw new Refused(`A ${noun} has at most ${bytesAtMost} bytes of UTF-8.`)
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new Refused(`The ${noun} is not UTF-8.`)
  }
  const secret = text.replace(/\r?\n$/, '')
  if (/[\r\n]/.test(secret)) throw new Refused(`Standard input has more than one line; a ${noun} is one.`)
  return secret
}

const capital = (word: string) => `${word[0]?.toUpperCase()}${word.slice(1)}`
