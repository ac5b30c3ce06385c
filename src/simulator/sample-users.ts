import type { SimulatedUser } from './users.ts'

/** The users of the demo and of `postern simulator`: one with a phone, one with two devices. */
export const sampleUsers: readonly SimulatedUser[] = [
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
