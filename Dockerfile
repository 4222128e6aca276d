# The explorer on a machine with an NVIDIA GPU (or without one: it then uses the CPU).
#   docker build -t feature-upsampling-explorer .
#   docker run --gpus all -p 7860:7860 -v explorer-cache:/home/visitor/.cache feature-upsampling-explorer
# torch's own wheels carry the CUDA libraries, so a plain Python image is enough.
FROM python:3.12-slim

RUN useradd --create-home --uid 1000 visitor
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY --chown=visitor . .

USER visitor
RUN mkdir -p /home/visitor/.cache
ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_ANALYTICS_ENABLED=False \
    PYTHONUNBUFFERED=1
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=180s --retries=3 CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/healthz', timeout=8)"]
# Options, such as --at-once 2 --cache-gb 8: after the image's name, or in EXPLORER_ARGS.
ENTRYPOINT ["python", "app.py", "--port", "7860"]
