import { writeFile } from 'node:fs/promises'
import { type Simulator, type SimulatorOptions, startSimulator } from '../simulator/simulator.ts'

/** The users of the demo and of `postern simulator`: one with a phone, one with two devices. */
export const demoUsers: SimulatorOptions['users'] = [
  {
    username: 'alice',
    aliases: ['alice@example.com'],
    devices: [
      {
        id: 'DPALICE0000000000001',
        name: 'Alice’s phone',
        number: '+1 555 010 0100',
        platform: 'iOS',
        capabilities: ['push', 'phone', 'sms', 'mobile_otp'],
      },
    ],
  },
  {
    username: 'bob',
    devices: [
      {
        id: 'DPBOB000000000000001',
        name: 'Work phone',
        number: '+1 555 010 0123',
        platform: 'Android',
        capabilities: ['push', 'phone', 'sms', 'mobile_otp'],
      },
      { id: 'DPBOB000000000000002', name: 'Tablet', number: '', platform: 'iOS', capabilities: ['push', 'mobile_otp'] },
    ],
  },
]

/**
 * Runs the simulator alone until SIGTERM or SIGINT, for anybody's Duo client. Returns the exit code.
 * @param options.secretKey on a command line it is visible to all users of the machine: POSTERN_SIMULATOR_SECRET_KEY serves as well
 * @param options.ca where to write the certificate that the client must trust, PEM
 */
export async function simulator(options: {
  port: number
  integrationKey: string
  secretKey?: string | undefined
  ca?: string | undefined
  answer?: 'allow' | 'deny' | undefined
  host?: string | undefined
  phonePort?: number | undefined
}): Promise<number> {
  const secretKey = options.secretKey ?? process.env.POSTERN_SIMULATOR_SECRET_KEY
  if (!secretKey) {
    console.error('postern simulator: give --secret-key, or set POSTERN_SIMULATOR_SECRET_KEY.')
    return 1
  }
  // Asked for first: a signal that comes while it starts must end it too.
  const ended = new Promise<void>(resolve => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
  const { port, integrationKey, ca, answer, host, phonePort } = options
  let running: Simulator | undefined
  try {
    running = await startSimulator({
      port,
      integrationKey,
      secretKey,
      users: demoUsers,
      ...(answer && { answer }),
      ...(host && { host, phoneHosts: [host] }),
      ...(phonePort !== undefined && { phonePort }),
    })
    if (ca !== undefined) await writeFile(ca, running.ca)
    console.log(`Duo simulator: not Duo, and whoever opens the phone can approve.`)
    console.log(`  API    https://${host ?? 'localhost'}:${running.apiPort}/auth/v2/`)
    console.log(`  phone  ${running.phoneUrl}/`)
    if (ca !== undefined) console.log(`  CA     ${ca}`)
    console.log(`ready`)
    await ended
    return 0
  } catch (error) {
    // A port that is taken, a file that cannot be written: Node's words name which.
    console.error(`postern simulator: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  } finally {
    await running?.close()
  }
}
