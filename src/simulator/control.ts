import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Enrolments } from './enrolment.ts'
import type { Passcodes } from './passcodes.ts'
import { type Policy, type PolicyInput, policySchema } from './policy.ts'
import { pushAnswers } from './push.ts'
import { type Scenarios, scenarioSchema } from './scenarios.ts'
import type { Transactions } from './transactions.ts'
import { type Account, usersSchema } from './users.ts'

const answerSchema = z.strictObject({
  answer: z.enum(pushAnswers),
  /** Of a Verified Push. */
  verificationCode: z.string().max(20).optional(),
})
const activationSchema = z.strictObject({ activation_code: z.string().min(1).max(1024) })

/** The same for programs as the phone is for people, and what goes wrong, on request. JSON in and out. */
export function registerControl(
  app: FastifyInstance,
  parts: {
    account: Account
    transactions: Transactions
    passcodes: Passcodes
    scenarios: Scenarios
    enrolments: Enrolments
    policy: () => Policy
    setPolicy: (change: PolicyInput) => void
  },
): void {
  const { account, transactions, passcodes, scenarios, enrolments, policy, setPolicy } = parts

  app.get('/control/pushes', async () => ({ pushes: transactions.pushes() }))
  app.post<{ Params: { id: string } }>('/control/pushes/:id', async (request, reply) => {
    const { answer, verificationCode } = answerSchema.parse(request.body)
    if (transactions.answer(request.params.id, answer, verificationCode)) return { answered: answer }
    return reply.code(409).send({ error: 'This push does not wait for an answer, or the code is wrong.' })
  })

  app.post<{ Params: { id: string } }>('/control/devices/:id/passcode', async (request, reply) => {
    const device = account.byDevice(request.params.id)?.device
    const passcode = device && passcodes.next(device)
    if (passcode !== undefined) return { passcode }
    return reply.code(404).send({ error: 'There is no such device, or it makes no passcodes.' })
  })
  app.get<{ Params: { id: string } }>('/control/devices/:id/messages', async (request, reply) => {
    if (account.byDevice(request.params.id)) return { messages: passcodes.messages(request.params.id) }
    return reply.code(404).send({ error: 'There is no such device.' })
  })

  app.get('/control/scenarios', async () => ({ scenarios: scenarios.list() }))
  app.post('/control/scenarios', async (request, reply) => {
    scenarios.add(scenarioSchema.parse(request.body))
    return reply.code(201).send({ scenarios: scenarios.list() })
  })
  app.delete('/control/scenarios', async (_request, reply) => {
    scenarios.clear()
    return reply.code(204).send()
  })

  app.get('/control/users', async () => ({ users: account.users() }))
  app.put('/control/users', async request => {
    account.replace(usersSchema.parse(request.body))
    return { users: account.users() }
  })

  app.get('/control/policy', async () => policy())
  app.patch('/control/policy', async request => {
    setPolicy(policySchema.partial().parse(request.body))
    return policy()
  })

  app.post('/control/activations', async (request, reply) => {
    const { activation_code } = activationSchema.parse(request.body)
    if (enrolments.activate(activation_code)) return { activated: true }
    return reply.code(404).send({ error: 'Nobody waits for this activation code.' })
  })
}
