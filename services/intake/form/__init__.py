"""The Questionnaire as pages: LHC-Forms for trying and for a tablet, and a plain form that needs no script."""
