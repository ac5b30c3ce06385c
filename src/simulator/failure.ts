/** A refusal in Duo's words. The HTTP status is the first three digits of the code. */
export class DuoFailure extends Error {
  readonly code: number
  readonly detail: string | undefined
  /** Seconds; only with 429. */
  readonly retryAfter: number | undefined

  constructor(code: number, message: string, detail?: string, retryAfter?: number) {
    super(message)
    this.code = code
    this.detail = detail
    this.retryAfter = retryAfter
  }

  get status(): number {
    return Math.floor(this.code / 100)
  }

  get body() {
    return { code: this.code, message: this.message, message_detail: this.detail, stat: 'FAIL' }
  }
}

export const missingParameter = (name: string) => new DuoFailure(40001, 'Missing required request parameters', name)
export const invalidParameter = (name?: string) => new DuoFailure(40002, 'Invalid request parameters', name)
export const missingCredentials = () => new DuoFailure(40101, 'Missing request credentials')
export const unknownIntegrationKey = () => new DuoFailure(40102, 'Invalid integration key in request credentials')
export const wrongSignature = () => new DuoFailure(40103, 'Invalid signature in request credentials')
export const missingTimestamp = () => new DuoFailure(40104, 'Missing request timestamp')
export const badTimestamp = () => new DuoFailure(40105, 'Bad request timestamp')
export const wrongApplication = () => new DuoFailure(40301, 'Access forbidden', 'Wrong integration type for this API.')
export const deprecatedClient = (userAgent: string) => {
  const [name = 'unknown', version = 'unknown'] = userAgent.split('/')
  return new DuoFailure(40301, `Client ${name} version ${version} is deprecated and no longer supported.`)
}
export const unknownResource = () => new DuoFailure(40401, 'Resource not found')
export const methodNotAllowed = () => new DuoFailure(40501, 'Method not allowed')
export const tooManyRequests = (retryAfter?: number) =>
  new DuoFailure(42901, 'Too Many Requests', undefined, retryAfter)
