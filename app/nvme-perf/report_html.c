/* SPDX-License-Identifier: BSD-3-Clause */
/* One page that needs nothing else: the table, and two pictures. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "report.h"

#define WIDTH  720
#define HEIGHT 260
#define LEFT   80 /* room for what stands at the axes */
#define BOTTOM 30

static void html_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '&': fputs("&amp;", out); break;
		default: fputc(*text, out);
		}
	}
}

static double x_at(double share)
{
	return LEFT + share * (WIDTH - LEFT - 10);
}

static double y_at(double share)
{
	return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - 10);
}

static void begin_picture(FILE *out, const char *title)
{
	fprintf(out, "<h2>%s</h2>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">\n", title, WIDTH,
		HEIGHT);
	fprintf(out, "<path class=\"axis\" d=\"M%d 10V%dH%d\"/>\n", LEFT, HEIGHT - BOTTOM,
		WIDTH - 10);
}

static void mark_x(FILE *out, double share, const char *text)
{
	fprintf(out,
		"<path class=\"grid\" d=\"M%.1f 10V%d\"/><text x=\"%.1f\" y=\"%d\" "
		"class=\"x\">%s</text>\n",
		x_at(share), HEIGHT - BOTTOM, x_at(share), HEIGHT - 10, text);
}

static void mark_y(FILE *out, double share, double value)
{
	fprintf(out,
		"<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
		"class=\"y\">%.*f</text>\n",
		LEFT, y_at(share), WIDTH - 10, LEFT - 6, y_at(share) + 4, value < 10 ? 2 : 0,
		value);
}

static void marks_y(FILE *out, double top)
{
	for (int i = 0; i <= 4; i++)
		mark_y(out, i / 4.0, top * i / 4);
}

/* Latency by percentile: each step to the right is half of the way to 100 that is left. */
static void draw_latency(FILE *out, const struct run *run, const struct hist *h)
{
	static const char *const names[] = { "0", "50", "90", "99", "99.9", "99.99", "99.999" };
	static const double shares[] = { 0, .5, .9, .99, .999, .9999, .99999 };
	unsigned count = sizeof(shares) / sizeof(shares[0]);
	double top = report_us(run, hist_percentile(h, shares[count - 1]));
	const unsigned fine = 16;

	top = top > 0 ? top : 1;
	begin_picture(out, "Latency, microseconds, by percentile");
	marks_y(out, top);
	for (unsigned i = 0; i < count; i++)
		mark_x(out, (double)i / (count - 1), names[i]);
	fprintf(out, "<path class=\"line\" d=\"");
	for (unsigned i = 0; i + 1 < count; i++) {
		for (unsigned k = 0; k < fine; k++) {
			double share = shares[i] + (shares[i + 1] - shares[i]) * k / fine;
			double us = report_us(run, hist_percentile(h, share));
			double x = (i + (double)k / fine) / (count - 1);

			fprintf(out, "%c%.1f %.1f", i || k ? 'L' : 'M', x_at(x),
				y_at(us < top ? us / top : 1));
		}
	}
	fprintf(out, "L%.1f %.1f\"/>\n</svg>\n", x_at(1), y_at(1));
}

/* The rate in each sample; of long runs, several samples together. */
static void draw_rate(FILE *out, const struct run *run)
{
	const unsigned points_max = 200;
	unsigned step = run->samples / points_max + 1, points = run->samples / step;
	double *rate = calloc(points + 1, sizeof(*rate)), top = 1;
	char text[32];

	if (!rate)
		return;
	for (unsigned i = 0; i < points; i++) {
		uint64_t last = run->sample[(i + 1) * step - 1];
		uint64_t before = i ? run->sample[i * step - 1] : 0;

		rate[i] = (double)(last - before) * 1000 / (run->sample_ms * step);
		top = rate[i] > top ? rate[i] : top;
	}
	begin_picture(out, "IOPS over time, seconds");
	marks_y(out, top);
	for (int i = 0; i <= 4; i++) {
		snprintf(text, sizeof(text), "%.1f", run->samples * run->sample_ms / 1e3 * i / 4);
		mark_x(out, i / 4.0, text);
	}
	fprintf(out, "<path class=\"line\" d=\"");
	for (unsigned i = 0; i < points; i++)
		fprintf(out, "%c%.1f %.1f", i ? 'L' : 'M', x_at((i + 1.0) / points),
			y_at(rate[i] / top));
	fprintf(out, "\"/>\n</svg>\n");
	free(rate);
}

static void row(FILE *out, const struct figures *f)
{
	fprintf(out,
		"<td>%.0f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td>"
		"<td>%" PRIu64 "</td></tr>\n",
		f->iops, f->mib, f->avg, f->min, f->max, f->errors);
}

static void table(FILE *out, const struct run *run, const struct figures *total)
{
	unsigned w = 0, j = 0;
	const struct job *job;

	fputs("<table><tr><th>Device</th><th>Namespace</th><th>Core</th><th>IOPS</th>"
	      "<th>MiB/s</th><th>Average, us</th><th>Min</th><th>Max</th><th>Errors</th></tr>\n",
	      out);
	while ((job = report_next(run, &w, &j))) {
		const struct plx_nvme_ctrl_info *info = plx_nvme_ctrl_info(job->ctrl);
		struct figures f;

		report_figures(run, job, &f);
		fprintf(out, "<tr><td>%s, ", info->name);
		html_text(out, info->model);
		fprintf(out, "</td><td>%u</td><td>%u</td>", job->info.nsid, job->core);
		row(out, &f);
	}
	fprintf(out, "<tr><td>Total</td><td></td><td></td>");
	row(out, total);
	fputs("</table>\n", out);
}

static void page(FILE *out, const struct run *run, struct hist *merged)
{
	const struct options *opts = run->opts;
	struct figures total;
	char text[32];

	report_total(run, merged, &total);
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	      "<title>plx-nvme-perf</title>\n<style>"
	      "body{font:14px sans-serif;max-width:760px;margin:2em auto}"
	      "table{border-collapse:collapse}td,th{padding:2px 8px;text-align:right}"
	      "svg{width:100%}text{font-size:11px}.y{text-anchor:end}.x{text-anchor:middle}"
	      ".axis{fill:none;stroke:#000}.grid{stroke:#ddd}"
	      ".line{fill:none;stroke:#06c;stroke-width:1.5}</style></head><body>\n",
	      out);
	fprintf(out, "<h1>%s, %" PRIu64 " bytes, depth %u</h1>\n", options_workload(opts, text),
		opts->io_size, opts->depth);
	table(out, run, &total);
	draw_latency(out, run, merged);
	draw_rate(out, run);
	fputs("</body></html>\n", out);
}

int report_html(FILE *out, const struct run *run)
{
	struct hist *merged = malloc(sizeof(*merged));
	int err = merged ? 0 : -ENOMEM;

	if (merged)
		page(out, run, merged);
	if (fflush(out) || ferror(out))
		err = -errno;
	free(merged);
	if (err)
		plx_err("--html %s: %s", run->opts->html, strerror(-err));
	return err;
}
