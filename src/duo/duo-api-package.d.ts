// @duosecurity/duo_api 1.5.0 has no types. Only what is used; package.ts checks that it is there.
declare module '@duosecurity/duo_api/lib/duo_sig.js' {
  const exports: unknown
  export default exports
}
declare module '@duosecurity/duo_api/lib/constants.js' {
  const exports: unknown
  export default exports
}
declare module '@duosecurity/duo_api' {
  export class Client {
    constructor(integrationKey: string, secretKey: string, host: string, signatureVersion?: 2 | 5)
    apiCall(method: string, path: string, parameters: Record<string, string>, callback: (body: string) => void): void
    jsonApiCall(
      method: string,
      path: string,
      parameters: Record<string, string>,
      callback: (body: unknown) => void,
    ): void
  }
}
