/* SPDX-License-Identifier: BSD-3-Clause */
/* One page that needs nothing else: the table, and two pictures. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <pollux/log.h>

#include "report.h"

#define WIDTH  720
#define HEIGHT 260
#define LEFT   80 /* room for what stands at the axes */
#define RIGHT  30
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
	return LEFT + share * (WIDTH - LEFT - RIGHT);
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
		WIDTH - RIGHT);
}

static void end_picture(FILE *out)
{
	fputs("</svg>\n", out);
}

/* Instead of a line. */
static void say(FILE *out, const char *what)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"x\">%s</text>\n", x_at(0.5), y_at(0.5),
		what);
}

static void mark_x(FILE *out, double share, const char *text)
{
	fprintf(out,
		"<path class=\"grid\" d=\"M%.1f 10V%d\"/><text x=\"%.1f\" y=\"%d\" class=\"x\">%s</text>\n",
		x_at(share), HEIGHT - BOTTOM, x_at(share), HEIGHT - 10, text);
}

static void mark_y(FILE *out, double share, const char *text)
{
	fprintf(out,
		"<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" class=\"y\">%s</text>\n",
		LEFT, y_at(share), WIDTH - RIGHT, LEFT - 6, y_at(share) + 4, text);
}

/* A power of ten, of nanoseconds, as people say it. */
static void say_time(int exponent, char text[16])
{
	static const char *const units[] = { "ns", "&#181;s", "ms", "s" };
	static const char *const numbers[] = { "1", "10", "100" };
	int unit = exponent / 3 < 3 ? exponent / 3 : 3;

	snprintf(text, 16, "%s %s", exponent < 12 ? numbers[exponent % 3] : "1000", units[unit]);
}

/* Powers of ten, of nanoseconds: where the picture begins, and ends. */
struct decades {
	int from, to;
};

static struct decades decades_of(const struct run *run, const struct hist *h)
{
	struct decades d = { 0, 0 };

	if (h->count && h->min)
		d.from = (int)fmax(0, fmin(11, floor(log10(report_us(run, h->min) * 1e3))));
	if (h->max)
		d.to = (int)fmin(12, ceil(log10(report_us(run, h->max) * 1e3)));
	if (d.to <= d.from)
		d.to = d.from + 1;
	return d;
}

static double height(double us, const struct decades *d)
{
	return us > 0 ? fmax(0, fmin(1, (log10(us * 1e3) - d->from) / (d->to - d->from))) : 0;
}

#define FINE 16 /* steps from mark to mark */

static void latency_line(FILE *out, const struct run *run, const struct hist *h,
			 const struct decades *d, const double *shares, unsigned marks)
{
	const unsigned last = (marks - 1) * FINE;

	fputs("<path class=\"line\" d=\"", out);
	for (unsigned k = 0; k <= last; k++) {
		double share = shares[k / FINE], us;

		if (k < last)
			share += (shares[k / FINE + 1] - share) * (k % FINE) / FINE;
		us = report_us(run, hist_percentile(h, share));
		fprintf(out, "%c%.1f %.1f", k ? 'L' : 'M', x_at((double)k / last),
			y_at(height(us, d)));
	}
	fputs("\"/>\n", out);
}

/*
 * Latency by percentile: each step to the right is a tenth of the way to 100 that was left. Upwards
 * each is ten times the one before, so that a long tail leaves something to be seen of all others.
 */
static void draw_latency(FILE *out, const struct run *run, const struct hist *h)
{
	static const char *const names[] = { "0", "50", "90", "99", "99.9", "99.99", "99.999" };
	static const double shares[] = { 0, .5, .9, .99, .999, .9999, .99999 };
	const unsigned marks = sizeof(shares) / sizeof(shares[0]);
	const struct decades d = decades_of(run, h);
	char text[16];

	begin_picture(out, "Latency by percentile");
	for (unsigned i = 0; i < marks; i++)
		mark_x(out, (double)i / (marks - 1), names[i]);
	for (int i = d.from; i <= d.to; i++) {
		say_time(i, text);
		mark_y(out, (double)(i - d.from) / (d.to - d.from), text);
	}
	if (h->count)
		latency_line(out, run, h, &d, shares, marks);
	else
		say(out, "no request was completed");
	end_picture(out);
}

/* The next number that is easily divided by four. */
static double round_top(double top)
{
	static const double steps[] = { 1, 2, 4, 6, 8, 10 };
	double unit = 1;

	while (unit * 10 < top)
		unit *= 10;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i] * unit >= top)
			return steps[i] * unit;
	return top;
}

static void marks_y(FILE *out, double top)
{
	char text[32];

	for (int i = 0; i <= 4; i++) {
		double value = top * i / 4;

		snprintf(text, sizeof(text), "%g%s",
			 value >= 1e6	? value / 1e6
			 : value >= 1e3 ? value / 1e3
					: value,
			 value >= 1e6	? " M"
			 : value >= 1e3 ? " k"
					: "");
		mark_y(out, i / 4.0, text);
	}
}

static void rate_line(FILE *out, const double *rate, unsigned points, double top)
{
	fputs("<path class=\"line\" d=\"", out);
	for (unsigned i = 0; i < points; i++)
		fprintf(out, "%c%.1f %.1f", i ? 'L' : 'M', x_at((i + 1.0) / points),
			y_at(rate[i] / top));
	fputs("\"/>\n", out);
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
	top = round_top(top);
	begin_picture(out, "IOPS over time, seconds");
	marks_y(out, top);
	for (int i = 0; i <= 4 && points; i++) {
		snprintf(text, sizeof(text), "%.1f", points * step * run->sample_ms / 1e3 * i / 4);
		mark_x(out, i / 4.0, text);
	}
	if (points > 1)
		rate_line(out, rate, points, top);
	else
		say(out, "the run was too short");
	end_picture(out);
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
		fputs("<tr><td>", out);
		html_text(out, info->name);
		fputs(", ", out);
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
	char text[32], trouble[REPORT_TROUBLE_LEN];

	report_total(run, merged, &total);
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	      "<title>plx-nvme-perf</title>\n<style>"
	      "body{font:14px sans-serif;max-width:760px;margin:2em auto}"
	      "table{border-collapse:collapse}td,th{padding:2px 8px;text-align:right}"
	      "td:first-child,th:first-child{padding-left:0;text-align:left}"
	      "svg{width:100%}text{font-size:11px}.y{text-anchor:end}.x{text-anchor:middle}"
	      ".axis{fill:none;stroke:#000}.grid{stroke:#ddd}"
	      ".line{fill:none;stroke:#06c;stroke-width:1.5}</style></head><body>\n",
	      out);
	fprintf(out, "<h1>%s, %" PRIu64 " bytes, depth %u</h1>\n", options_workload(opts, text),
		opts->io_size, opts->depth);
	table(out, run, &total);
	if (report_trouble(&total, trouble))
		fprintf(out, "<p>%s</p>\n", trouble);
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
