"A package, so that its browser and its servers end with its last test: Playwright keeps an event loop running until then."
