/** A success that has nothing to say. */
export function emptyResponse(description: string) {
  return { type: 'null', description }
}
