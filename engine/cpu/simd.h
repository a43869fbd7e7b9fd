//go:build native

// The vector kernels, written once over a vector type. The file that includes
// this defines vf, VL, the v_… operations and the tile sizes of one instruction
// set, FN and IN (attributes of a function and of an inlined one), TABLE and NAME.
//
// The functions marked IN take their tile sizes as constants: after inlining, the
// arrays of accumulators are registers.
#include <math.h>
#include <string.h>

enum { VB = PL_LANES / VL }; // vectors of a block

// What multiplies: f32 weights, bf16 weights widened in registers, or pairs of
// bf16 by the dot instruction.
enum { MUL_F32, MUL_BF16, MUL_DOT };

// stretch is what a tile works on: kn inputs (even) of some blocks, from the first
// block's weights w on, blocks ws bytes apart, and rows of activations lda bytes
// apart. What it computes is added to init (NULL: zero) and written to c.
typedef struct {
	const char *w;
	size_t ws;
	const char *a;
	size_t lda;
	float *c;
	size_t ldc;
	const float *init;
	size_t ldi;
	int32_t kn;
} stretch;

// tile computes mr rows × nb blocks.
IN void tile(const int mul, const int mr, const int nb, const stretch *s)
{
	const char *const w = s->w, *const a = s->a;
	const size_t ws = s->ws, lda = s->lda;
	const int32_t kn = s->kn;
	vf acc[TILE_M][LINE_B * VB];
#pragma GCC unroll 16
	for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
		for (int j = 0; j < nb * VB; j++)
			acc[i][j] = v_set(0);
	for (int32_t k = 0; k < kn; k += 2) {
		if (mul == MUL_F32) {
#pragma GCC unroll 2
			for (int h = 0; h < 2; h++) {
				vf v[LINE_B * VB];
#pragma GCC unroll 8
				for (int j = 0; j < nb * VB; j++)
					v[j] = v_load((const float *)(w + (j / VB) * ws) + ((size_t)k + h) * PL_LANES + (j % VB) * VL);
#pragma GCC unroll 16
				for (int i = 0; i < mr; i++) {
					vf x = v_at((const float *)(a + i * lda) + k + h);
#pragma GCC unroll 8
					for (int j = 0; j < nb * VB; j++)
						acc[i][j] = v_fma(v[j], x, acc[i][j]);
				}
			}
		} else if (mul == MUL_BF16) {
			vf v[LINE_B * VB];
#pragma GCC unroll 8
			for (int j = 0; j < nb * VB; j++)
				v[j] = v_even(w + (j / VB) * ws + (size_t)k * 32 + (j % VB) * VL * 4);
#pragma GCC unroll 16
			for (int i = 0; i < mr; i++) {
				vf x = v_at((const float *)(a + i * lda) + k);
#pragma GCC unroll 8
				for (int j = 0; j < nb * VB; j++)
					acc[i][j] = v_fma(v[j], x, acc[i][j]);
			}
#pragma GCC unroll 8
			for (int j = 0; j < nb * VB; j++)
				v[j] = v_odd(w + (j / VB) * ws + (size_t)k * 32 + (j % VB) * VL * 4);
#pragma GCC unroll 16
			for (int i = 0; i < mr; i++) {
				vf x = v_at((const float *)(a + i * lda) + k + 1);
#pragma GCC unroll 8
				for (int j = 0; j < nb * VB; j++)
					acc[i][j] = v_fma(v[j], x, acc[i][j]);
			}
		} else {
#ifdef HAVE_DOT
#pragma GCC unroll 16
			for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
				for (int j = 0; j < nb; j++)
					acc[i][j] = v_dot(acc[i][j], w + j * ws + (size_t)k * 32, a + i * lda + (size_t)k * 2);
#endif
		}
	}
#pragma GCC unroll 16
	for (int i = 0; i < mr; i++)
#pragma GCC unroll 8
		for (int j = 0; j < nb * VB; j++) {
			vf t = s->init ? v_load(s->init + i * s->ldi + j * VL) : v_set(0);
			v_store(s->c + i * s->ldc + j * VL, t + acc[i][j]);
		}
}

// Every tile is a function of its own, so that the compiler gives each loop all
// registers. ROWS and TILES list them by height.
#define ROWS(X, mul, nb) X(mul, nb, 1) X(mul, nb, 2) X(mul, nb, 3) X(mul, nb, 4) X(mul, nb, 5) X(mul, nb, 6) \
	X(mul, nb, 7) X(mul, nb, 8) X(mul, nb, 9) X(mul, nb, 10) X(mul, nb, 11) X(mul, nb, 12)
#define DEFINE(mul, nb, mr) \
	FN __attribute__((noinline)) void tile_##mul##_##nb##_##mr(const stretch *s) \
	{ \
		tile(mul, mr <= TILE_M ? mr : 1, nb <= TILE_B ? nb : 1, s); \
	}
#define NAMED(mul, nb, mr) tile_##mul##_##nb##_##mr,
#define TILES(mul) {{ROWS(NAMED, mul, 1)}, {ROWS(NAMED, mul, 2)}}

ROWS(DEFINE, MUL_F32, 1)
ROWS(DEFINE, MUL_F32, 2)
ROWS(DEFINE, MUL_BF16, 1)
ROWS(DEFINE, MUL_BF16, 2)
#ifdef HAVE_DOT
ROWS(DEFINE, MUL_DOT, 1)
ROWS(DEFINE, MUL_DOT, 2)
#endif

// tiles are by kind of product, blocks and rows (both less one).
static void (*const tiles[3][2][12])(const stretch *) = {
	TILES(MUL_F32),
	TILES(MUL_BF16),
#ifdef HAVE_DOT
	TILES(MUL_DOT),
#endif
};

// rows runs tiles of nb blocks over all m rows of a stretch, in tiles of about equal
// height: 13 rows are 7 and 6, since a tile of one row waits for its own additions.
FN void rows(const int mul, const int nb, int32_t m, stretch s)
{
	while (m > 0) {
		const int32_t count = (m + TILE_M - 1) / TILE_M, high = (m + count - 1) / count;
		tiles[mul][nb - 1][high - 1](&s);
		s.a += high * s.lda;
		s.c += high * s.ldc;
		s.init = s.init ? s.init + high * s.ldi : NULL;
		m -= high;
	}
}

// product runs one matrix product over blocks [b0, b1). A single row takes
// LINE_B blocks at once, so that enough chains are under way and several streams
// of weights are read; more rows take the register tile.
IN void product(const int mul, const pl_gemm *g, int32_t b0, int32_t b1)
{
	const size_t wsz = mul == MUL_F32 ? 4 : 2, asz = mul == MUL_DOT ? 2 : 4;
	const int32_t k_all = g->w->k, most = g->m == 1 ? LINE_B : TILE_B;
	const size_t ws = (size_t)k_all * PL_LANES * wsz;
	for (int32_t b = b0; b < b1;) {
		const int32_t nb = b1 - b >= most ? most : 1;
		const size_t column = (size_t)(b - b0) * PL_LANES;
		stretch s = {
			.w = (const char *)g->w->data + b * ws, .ws = ws,
			.a = g->a, .lda = g->lda * asz,
			.c = g->c + column, .ldc = g->ldc,
			.init = g->init ? g->init + column : NULL, .ldi = g->ldi,
		};
		for (int32_t k = 0; k < k_all; k += PL_KBLOCK) {
			s.kn = k_all - k < PL_KBLOCK ? k_all - k : PL_KBLOCK;
			if (g->m > 1)
				rows(mul, nb, g->m, s);
			else if (nb == LINE_B)
				tile(mul, 1, LINE_B, &s);
			else
				tile(mul, 1, 1, &s);
			s.w += (size_t)PL_KBLOCK * PL_LANES * wsz;
			s.a += PL_KBLOCK * asz;
			s.init = s.c;
			s.ldi = s.ldc;
		}
		b += nb;
	}
}

FN void product_f32(const pl_gemm *g, int32_t b0, int32_t b1) { product(MUL_F32, g, b0, b1); }
FN void product_bf16(const pl_gemm *g, int32_t b0, int32_t b1) { product(MUL_BF16, g, b0, b1); }

FN void gemm(const pl_gemm *g, int32_t b0, int32_t b1)
{
	if (g->w->type == PL_F32)
		product_f32(g, b0, b1);
	else
		product_bf16(g, b0, b1);
}

#ifdef HAVE_DOT
FN void gemm_dot(const pl_gemm *g, int32_t b0, int32_t b1) { product(MUL_DOT, g, b0, b1); }
#endif

IN void small_tile(const int mr, const int nv, float *c, size_t ldc, const float *a, size_t lda, const float *b,
                   size_t ldb, int32_t k, int add)
{
	vf acc[SMALL_M][SMALL_V];
#pragma GCC unroll 8
	for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			acc[i][j] = add ? v_load(c + i * ldc + j * VL) : v_set(0);
	for (int32_t t = 0; t < k; t++) {
		vf v[SMALL_V];
#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			v[j] = v_load(b + t * ldb + j * VL);
#pragma GCC unroll 8
		for (int i = 0; i < mr; i++) {
			vf x = v_at(a + i * lda + t);
#pragma GCC unroll 4
			for (int j = 0; j < nv; j++)
				acc[i][j] = v_fma(x, v[j], acc[i][j]);
		}
	}
#pragma GCC unroll 8
	for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			v_store(c + i * ldc + j * VL, acc[i][j]);
}

IN void small_cols(const int nv, float *c, size_t ldc, const float *a, size_t lda, const float *b, size_t ldb,
                   int32_t m, int32_t k, int add)
{
	for (; m >= SMALL_M; m -= SMALL_M) {
		small_tile(SMALL_M, nv, c, ldc, a, lda, b, ldb, k, add);
		a += SMALL_M * lda;
		c += SMALL_M * ldc;
	}
	for (; m >= 2; m -= 2) {
		small_tile(2, nv, c, ldc, a, lda, b, ldb, k, add);
		a += 2 * lda;
		c += 2 * ldc;
	}
	if (m)
		small_tile(1, nv, c, ldc, a, lda, b, ldb, k, add);
}

FN void small(float *c, size_t ldc, const float *a, size_t lda, const float *b, size_t ldb, int32_t m, int32_t k,
              int32_t cols, int add)
{
	int32_t j = 0;
	for (; j + SMALL_V * VL <= cols; j += SMALL_V * VL)
		small_cols(SMALL_V, c + j, ldc, a, lda, b + j, ldb, m, k, add);
	for (; j < cols; j += PL_LANES)
		small_cols(VB, c + j, ldc, a, lda, b + j, ldb, m, k, add);
}

// v_exp: e^x, within 2 ulp; 0 below -87.33, where the result would be denormal.
// Cephes' expf: x = n·ln 2 + r with ln 2 in two parts, a polynomial in r.
IN vf v_exp(vf x)
{
	vf t = v_min(v_max(x, v_set(-87.33f)), v_set(88.37f));
	vf n = v_round(t * v_set(1.44269504088896341f));
	vf r = v_fma(n, v_set(-0.693359375f), t);
	r = v_fma(n, v_set(2.12194440e-4f), r);
	vf p = v_set(1.9875691500e-4f);
	p = v_fma(p, r, v_set(1.3981999507e-3f));
	p = v_fma(p, r, v_set(8.3334519073e-3f));
	p = v_fma(p, r, v_set(4.1665795894e-2f));
	p = v_fma(p, r, v_set(1.6666665459e-1f));
	p = v_fma(p, r, v_set(5.0000001201e-1f));
	p = v_fma(p, r * r, r) + v_set(1.0f);
	return v_zero_below(v_exp2n(p, n), x, -87.33f);
}

// v_sum and v_top fold a vector in a fixed order.
IN float v_sum(vf a)
{
	float t[VL];
	v_store(t, a);
	for (int n = VL / 2; n > 0; n /= 2)
		for (int i = 0; i < n; i++)
			t[i] += t[i + n];
	return t[0];
}

IN float v_top(vf a)
{
	float t[VL];
	v_store(t, a);
	for (int i = 1; i < VL; i++)
		t[0] = t[i] > t[0] ? t[i] : t[0];
	return t[0];
}

FN void scale(float *x, float f, int32_t n)
{
	for (int32_t i = 0; i < n; i += VL)
		v_store(x + i, v_load(x + i) * v_set(f));
}

FN void softmax(float *s, float *o, float *maxima, float *sums, int32_t m, int32_t dim)
{
	for (int32_t r = 0; r < m; r++) {
		float *p = s + (size_t)r * PL_PAGE;
		vf top = v_set(maxima[r]), sum = v_set(0);
		for (int t = 0; t < PL_PAGE; t += VL)
			top = v_max(top, v_load(p + t));
		const float t0 = v_top(top);
		const vf keep = v_exp(v_set(maxima[r]) - v_set(t0));
		for (int t = 0; t < PL_PAGE; t += VL) {
			vf e = v_exp(v_load(p + t) - v_set(t0));
			v_store(p + t, e);
			sum = sum + e;
		}
		float k[VL];
		v_store(k, keep);
		maxima[r] = t0;
		sums[r] = sums[r] * k[0] + v_sum(sum);
		if (k[0] != 1.0f)
			scale(o + (size_t)r * dim, k[0], dim);
	}
}

FN void rmsnorm(float *y, const float *x, const float *w, int32_t n, int32_t real, float eps)
{
	vf sum[VB];
	for (int j = 0; j < VB; j++)
		sum[j] = v_set(0);
	for (int32_t i = 0; i < n; i += PL_LANES)
		for (int j = 0; j < VB; j++) {
			vf v = v_load(x + i + j * VL);
			sum[j] = v_fma(v, v, sum[j]);
		}
	// Halves are folded as v_sum does, so that a vector's length changes no number.
	for (int half = VB / 2; half > 0; half /= 2)
		for (int j = 0; j < half; j++)
			sum[j] = sum[j] + sum[j + half];
	const float inv = (float)(1.0 / sqrt((double)v_sum(sum[0]) / real + eps));
	for (int32_t i = 0; i < n; i += VL)
		v_store(y + i, v_load(x + i) * v_set(inv) * v_load(w + i));
}

FN void swiglu(float *y, const float *g, int32_t panels)
{
	for (int32_t p = 0; p < panels; p++)
		for (int l = 0; l < PL_LANES; l += VL) {
			vf v = v_load(g + 32 * p + l), u = v_load(g + 32 * p + PL_LANES + l);
			v_store(y + 16 * p + l, v / (v_set(1.0f) + v_exp(v_set(0) - v)) * u);
		}
}

FN void round_bf16(float *x, uint16_t *h, int32_t n)
{
	for (int32_t i = 0; i < n; i += VL) {
		if (h)
			v_store_bf16(h + i, v_load(x + i));
		else
			v_store(x + i, v_bf16(v_load(x + i)));
	}
}

FN double logsumexp(const float *x, int32_t n)
{
	const int32_t whole = n - n % VL;
	float rest[VL];
	for (int i = 0; i < VL; i++)
		rest[i] = whole + i < n ? x[whole + i] : -INFINITY;
	vf top = v_load(rest);
	for (int32_t i = 0; i < whole; i += VL)
		top = v_max(top, v_load(x + i));
	const float t0 = v_top(top);
	// Stretches of 1024 are summed in f32, the stretches in f64.
	double sum = v_sum(v_exp(v_load(rest) - v_set(t0)));
	for (int32_t i = 0; i < whole;) {
		const int32_t end = whole - i > 1024 ? i + 1024 : whole;
		vf part = v_set(0);
		for (; i < end; i += VL)
			part = part + v_exp(v_load(x + i) - v_set(t0));
		sum += v_sum(part);
	}
	return t0 + log(sum);
}

const pl_kernels TABLE = {
	.name = NAME,
	.gemm = gemm,
#ifdef HAVE_DOT
	.gemm_dot = gemm_dot,
#endif
	.small = small,
	.softmax = softmax,
	.rmsnorm = rmsnorm,
	.swiglu = swiglu,
	.scale = scale,
	.round = round_bf16,
	.logsumexp = logsumexp,
};
