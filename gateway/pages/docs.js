// Swagger UI: every operation can be tried, with a token that is pasted into "Authorize".
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  // A token stays in the page's memory, and no one else is told of the document.
  persistAuthorization: false,
  validatorUrl: null,
});
